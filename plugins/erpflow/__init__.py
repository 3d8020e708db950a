"""erpflow keeps an application's own Postgres tables and its ERPs in step, both ways, on Apache Airflow."""

__version__ = "0.1.0"
