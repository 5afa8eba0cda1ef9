# Lighterage in one image: the API, the upload protocols, the pages. Everything it keeps is under /data.
#
#   docker build -t lighterage .
#   docker run -p 8000:8000 -v lighterage:/data --read-only --tmpfs /tmp lighterage
#
# BASE and WEB_BASE name other images to start from where the usual registry is not reachable.
ARG BASE=python:3.12-slim
ARG WEB_BASE=node:22-slim

FROM ${WEB_BASE} AS web
WORKDIR /build
COPY web/package.json web/package-lock.json web/.npmrc ./
RUN npm ci --ignore-scripts --no-progress
COPY web/ ./
RUN npm run --silent build:app -- --logLevel warn \
 && npm run --silent build:graphiql -- --logLevel warn \
 && npm run --silent build:swagger

FROM ${BASE} AS app
COPY requirements.txt /
RUN python3 -m venv /opt/venv \
 && /opt/venv/bin/python -m pip install --no-cache-dir --disable-pip-version-check --require-hashes -r /requirements.txt
COPY . /app
RUN /opt/venv/bin/python -m pip install --no-cache-dir --disable-pip-version-check --no-deps --no-build-isolation -e /app \
 && /opt/venv/bin/python -m pip uninstall -q -y pip \
 && /opt/venv/bin/python -m compileall -q /app

FROM ${BASE}
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    LIGHTERAGE_HOST=0.0.0.0 \
    LIGHTERAGE_PORT=8000 \
    LIGHTERAGE_DATA_DIR=/data
WORKDIR /app
COPY --from=app /opt/venv /opt/venv
COPY --from=app /app /app
COPY --from=web /build/dist /app/web/dist
# The user has a number and no name: nothing in the image belongs to it but /data.
RUN install -d -o 10001 -g 10001 /data
VOLUME /data
EXPOSE 8000
USER 10001:10001
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f\"http://127.0.0.1:{os.environ['LIGHTERAGE_PORT']}/readyz\", timeout=4)"]
# Exec form: the server is process 1 and gets SIGTERM itself, lets running requests store what they have, and ends.
CMD ["python", "-m", "lighterage", "serve"]
