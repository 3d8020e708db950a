"""VeeKaart: what is synced, how often the DAGs look whether a sync is due, all of it in order, and when both sides are
compared.
"""

from __future__ import annotations

from erpflow.airflow.dags import sync_dag
from erpflow.airflow.in_order import in_order_dag
from erpflow.airflow.reconciling import reconcile_dag

# Products first: the store refuses stock and prices of a product it does not know.
TABLES = {
    "product": "app.products",
    "inventory": "app.stock",
    "price": "app.prices",
}

for entity, table in TABLES.items():
    globals()[f"veekaart__{entity}"] = sync_dag(
        system="veekaart", title="VeeKaart", entity=entity, table=table, cron="*/5 * * * *"
    )
    globals()[f"veekaart__{entity}__reconcile"] = reconcile_dag(
        system="veekaart", title="VeeKaart", entity=entity, table=table, cron="0 3 * * 0"
    )
veekaart__full = in_order_dag(system="veekaart", title="VeeKaart", entities=list(TABLES))
