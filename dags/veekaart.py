"""VeeKaart: what is synced, and all of it in order."""

from __future__ import annotations

from erpflow.airflow.in_order import in_order_dag
from erpflow.airflow.systems import dags_of

# Products first: the store refuses stock and prices of a product it does not know.
TABLES = {
    "product": "app.products",
    "inventory": "app.product_stock",
    "price": "app.store_prices",
}

globals().update(dags_of("veekaart", "VeeKaart", TABLES))
veekaart__full = in_order_dag(system="veekaart", title="VeeKaart", entities=list(TABLES))
