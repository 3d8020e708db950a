-- `updated_at` of both views may go back when a row leaves, and stays when a price becomes valid: it says how fresh a
-- row is, and finds no changes.

CREATE VIEW app.product_stock AS
SELECT product_id, sum(quantity) AS quantity, sum(reserved) AS reserved, max(updated_at) AS updated_at
FROM app.stock
GROUP BY product_id;

CREATE VIEW app.store_prices AS
WITH listed AS (
    SELECT DISTINCT ON (product_id) product_id, amount, currency, updated_at
    FROM app.prices
    WHERE price_list = 'VeeKaart' AND current_date BETWEEN valid_from AND coalesce(valid_to, 'infinity')
    ORDER BY product_id, valid_from DESC, updated_at DESC, id DESC
)
SELECT p.id AS product_id, coalesce(l.amount, p.price) AS amount,
       CASE WHEN l.product_id IS NULL THEN p.currency ELSE l.currency END AS currency,
       greatest(p.updated_at, l.updated_at) AS updated_at
FROM app.products p
LEFT JOIN listed l ON l.product_id = p.id
WHERE coalesce(l.amount, p.price) IS NOT NULL;
