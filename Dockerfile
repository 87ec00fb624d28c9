# One image for worker nodes, Flower and the sandbox; docker-compose.yml says which command runs.

FROM python:3.13.9-slim-trixie AS build
ENV UV_PROJECT_ENVIRONMENT=/opt/venv UV_PYTHON_DOWNLOADS=never UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy
RUN pip install --no-cache-dir uv==0.13.9
WORKDIR /app
# What changes seldom comes first: a change of the code installs nothing anew.
COPY pyproject.toml uv.lock README.md LICENSE ./
RUN uv sync --frozen --no-dev --group worker --no-install-project
COPY producers producers
RUN uv sync --frozen --no-dev --group worker --no-editable

FROM python:3.13.9-slim-trixie
RUN useradd --uid 10001 --create-home neo-cancel
COPY --from=build /opt/venv /opt/venv
WORKDIR /app
COPY config config
COPY worker worker
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001
CMD ["python", "-m", "worker.sandbox", "--host", "0.0.0.0"]
