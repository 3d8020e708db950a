# One image for every service of docker-compose.yaml: the pinned dependencies, then the project.
FROM python:3.11-slim

ENV PYTHONUNBUFFERED=1 AIRFLOW_HOME=/opt/erpflow/.airflow
WORKDIR /opt/erpflow

# In a layer of their own, so that a change of the code does not install them again.
COPY requirements.txt ./
RUN python -m venv --without-pip /opt/venv \
    && pip install --no-cache-dir "$(grep '^uv==' requirements.txt)" \
    && VIRTUAL_ENV=/opt/venv uv pip install --no-cache --compile-bytecode -r requirements.txt
ENV PATH=/opt/venv/bin:$PATH VIRTUAL_ENV=/opt/venv

COPY . .
RUN uv pip install --no-cache --no-build-isolation --no-deps --editable . \
    && useradd --create-home --uid 50000 erpflow \
    && mkdir -p "$AIRFLOW_HOME/logs" /var/lib/erpflow \
    && ln -s /opt/erpflow/config "$AIRFLOW_HOME/config" \
    && chown -R erpflow "$AIRFLOW_HOME" /var/lib/erpflow
USER erpflow
