# Picket as a container: one file system with Node, its libraries and Picket in it, and nothing else: no shell, no package manager, no npm.
# docs/containers.md says how to run it. `docker build -t picket .`
#
# The base, pinned by its tag. To pin the very bytes, give its digest:
#   docker build --build-arg NODE_IMAGE=node:24-bookworm-slim@sha256:… -t picket .
ARG NODE_IMAGE=node:24-bookworm-slim

FROM ${NODE_IMAGE} AS build
WORKDIR /build
ENV NPM_CONFIG_UPDATE_NOTIFIER=false
COPY package.json package-lock.json .npmrc ./
RUN npm ci --include=dev --no-progress --loglevel=error
COPY tsconfig.json tsconfig.build.json ./
COPY scripts ./scripts
COPY src ./src
RUN node scripts/build.mjs && npm ci --omit=dev --prefer-offline --no-progress --loglevel=error

# What the image will hold, under /image: Node, the libraries that it and the native modules are linked with, and a user.
RUN mkdir -p /image/usr/local/bin /image/etc /image/tmp /image/picket/data \
 && cp /usr/local/bin/node /image/usr/local/bin/ \
 && { ldd /usr/local/bin/node; find node_modules -name '*.node' -exec ldd {} +; } | grep -o '/[^ :]*\.so[^ :]*' | sort -u | xargs -I LIBRARY cp -L --parents LIBRARY /image \
 && echo 'picket:x:1000:1000:Picket:/picket:/nowhere' >/image/etc/passwd \
 && echo 'picket:x:1000:' >/image/etc/group \
 && echo 'hosts: files dns' >/image/etc/nsswitch.conf \
 && chmod 1777 /image/tmp \
 && mv package.json node_modules dist /image/picket/ \
 && rm -rf /image/picket/node_modules/.bin \
 && find /image/picket/dist -name '*.map' -delete \
 && find /image/picket/node_modules -type d -empty -delete \
 && chown 1000:1000 /image/picket/data
COPY config /image/picket/config

FROM scratch
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Picket" \
      org.opencontainers.image.description="Watches the telemetry of device fleets, finds what is wrong, and fences it off" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /image /
# kafkajs asks for a timer of less than no time, which newer Node says a line about.
ENV NODE_ENV=production \
    NODE_OPTIONS=--disable-warning=TimeoutNegativeWarning \
    PATH=/usr/local/bin \
    PICKET_HEALTH_URL=http://127.0.0.1:8080/healthz
WORKDIR /picket
USER 1000:1000
STOPSIGNAL SIGTERM
# Where listen.http has another port, PICKET_HEALTH_URL says so.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
  CMD ["node", "-e", "fetch(process.env.PICKET_HEALTH_URL).then((a) => process.exit(a.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "/picket/dist/main.js"]
CMD ["run"]
