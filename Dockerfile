# Jobreel in one image: no apt step, ffmpeg comes in a wheel. Build: docker build -t jobreel .
FROM python:3.12-slim AS build
WORKDIR /src
RUN python -m venv /opt/jobreel
COPY requirements/base.lock requirements/
RUN /opt/jobreel/bin/pip install --no-cache-dir --disable-pip-version-check \
        --require-hashes --only-binary :all: -r requirements/base.lock
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN /opt/jobreel/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps --no-build-isolation .

FROM python:3.12-slim
RUN useradd --system --uid 10001 --user-group --home-dir /data --shell /usr/sbin/nologin jobreel \
    && install --directory --owner jobreel --group jobreel --mode 0700 /data
COPY --from=build /opt/jobreel /opt/jobreel
ENV PATH=/opt/jobreel/bin:$PATH JOBREEL_DATA_DIR=/data
USER jobreel
WORKDIR /data
VOLUME /data
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/health', timeout=4)"]
CMD ["jobreel", "serve", "--host", "0.0.0.0", "--port", "8080"]
