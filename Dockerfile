# The operator's image. Both base images are arguments, so that it can be built without a registry (`make image`).
# BUILD_IMAGE needs cargo, a C compiler, strip and ca-certificates; RUNTIME_IMAGE needs glibc and libgcc_s, of a release not
# older than the build's. To build for another architecture: `docker buildx build --platform linux/arm64 .`.
ARG BUILD_IMAGE=rust:1.95-slim-bookworm
ARG RUNTIME_IMAGE=debian:bookworm-slim

FROM ${BUILD_IMAGE} AS build
WORKDIR /src
# Build the dependencies in a layer that is reused until they change, with stubs in place of our own sources.
COPY Cargo.toml Cargo.lock ./
COPY tests/local-cluster/Cargo.toml tests/local-cluster/
COPY tests/support/Cargo.toml tests/support/
COPY benches/instructions/Cargo.toml benches/instructions/
RUN mkdir -p src tests/local-cluster/src tests/support/src benches/operator benches/instructions/src \
    && echo 'fn main() {}' | tee src/main.rs tests/local-cluster/src/main.rs benches/operator/main.rs benches/admin_lookup.rs \
         benches/instructions/src/main.rs \
    && touch src/lib.rs tests/local-cluster/src/lib.rs tests/support/src/lib.rs \
    && cargo build --release --locked --bin runtime-operator
COPY src src
# The copied files are older than the artefacts of the stubs.
RUN touch src/main.rs src/lib.rs \
    && cargo build --release --locked --bin runtime-operator \
    && mkdir -p /out \
    && strip -o /out/runtime-operator target/release/runtime-operator

FROM ${RUNTIME_IMAGE}
ARG VERSION=0.1.0
ARG REVISION=unknown
ARG CREATED=1970-01-01T00:00:00Z
ARG SOURCE=https://github.com/veralux/runtime-operator
LABEL org.opencontainers.image.title="runtime-operator" \
      org.opencontainers.image.description="Keeps the Redis keys of a voice runtime exactly equal to RuntimeTenant resources" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.documentation="${SOURCE}/blob/main/README.md"
# TLS connections to Redis and to collectors are verified with these authorities, unless a setting names others.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/runtime-operator /usr/local/bin/runtime-operator
# Numeric, so that Kubernetes can verify runAsNonRoot.
USER 65532:65532
# Return the memory of large tables to the kernel when they grow (docs/performance.md, "Build").
ENV GLIBC_TUNABLES=glibc.malloc.mmap_threshold=131072
EXPOSE 8080 8081
ENTRYPOINT ["/usr/local/bin/runtime-operator"]
CMD ["run"]
