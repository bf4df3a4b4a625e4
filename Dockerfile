# The operator's image. Both bases are arguments, so that it can be built where no registry is reached (`make image`):
# BUILD_IMAGE needs cargo, a C compiler, strip and ca-certificates; RUNTIME_IMAGE needs glibc and libgcc_s, of a release not
# older than the build's. For another architecture than one's own: `docker buildx build --platform linux/arm64 .`.
ARG BUILD_IMAGE=rust:1.95-slim-bookworm
ARG RUNTIME_IMAGE=debian:bookworm-slim

FROM ${BUILD_IMAGE} AS build
WORKDIR /src
# The dependencies, in a layer that lasts until they change: of the program, only what names it.
COPY Cargo.toml Cargo.lock ./
COPY tests/local-cluster/Cargo.toml tests/local-cluster/
COPY benches/instructions/Cargo.toml benches/instructions/
RUN mkdir -p src tests/local-cluster/src benches/operator benches/instructions/src \
    && echo 'fn main() {}' | tee src/main.rs tests/local-cluster/src/main.rs benches/operator/main.rs benches/admin_lookup.rs \
         benches/instructions/src/main.rs \
    && touch src/lib.rs tests/local-cluster/src/lib.rs \
    && cargo build --release --locked --bin runtime-operator
COPY src src
# What is copied is older than what was built from the stand-ins.
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
# Redis and collectors by TLS are checked against the system's authorities, unless a setting names others.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/runtime-operator /usr/local/bin/runtime-operator
# By number, so that Kubernetes can tell that it is not root (runAsNonRoot).
USER 65532:65532
# Large tables that have grown give back their memory (docs/performance.md, "Build").
ENV GLIBC_TUNABLES=glibc.malloc.mmap_threshold=131072
EXPOSE 8080 8081
ENTRYPOINT ["/usr/local/bin/runtime-operator"]
CMD ["run"]
