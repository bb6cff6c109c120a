# The service as an image: built in one stage, run in another, by a user without rights.
# Not built or run by this project's checks, which have no container engine: tests read it only.

FROM python:3.11-slim-bookworm AS build
WORKDIR /vestibule
# Every requirement is pinned and hashed; an index of your own comes by pip's own PIP_… build arguments or secrets.
COPY requirements.lock ./
RUN python -m venv .venv \
    && .venv/bin/pip install --no-cache-dir --no-deps --require-hashes -r requirements.lock

FROM python:3.11-slim-bookworm
RUN groupadd --system --gid 10001 vestibule \
    && useradd --system --uid 10001 --gid vestibule --no-create-home --shell /usr/sbin/nologin vestibule \
    && install -d -o vestibule -g vestibule -m 0700 /vestibule/var
WORKDIR /vestibule
COPY --from=build /vestibule/.venv .venv
COPY pyproject.toml LICENSE ./
COPY migrations migrations
COPY config config
COPY app app
RUN python -m compileall -q app migrations
ENV PATH=/vestibule/.venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    VESTIBULE_SERVER__HOST=0.0.0.0
USER 10001:10001
VOLUME ["/vestibule/var"]
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=2)"]
ENTRYPOINT ["python", "-m", "app"]
CMD ["serve"]
