"""The processes of one machine: embedded Postgres, the sandbox, Airflow, and the demo that drives them."""
