# syntax=docker/dockerfile:1
#
# The image of Tidegate: one program, the libraries that it loads, certificates
# of public authorities. No shell, no root, nothing to write to.
#
#   docker buildx build --platform linux/amd64,linux/arm64 --sbom=true --provenance=mode=max \
#     --build-arg SOURCE_DATE_EPOCH="$(git log -1 --format=%ct)" --output type=image,rewrite-timestamp=true \
#     --tag tidegate/tidegate:0.1.0 .
#   docker buildx build --target sbom --output . .      # sbom.json: every crate in the program
#
# The same sources make the same bytes when RUST_IMAGE is given with its digest.

ARG RUST_IMAGE=rust:1.95-bookworm

FROM ${RUST_IMAGE} AS build
RUN apt-get update && \
    apt-get install --yes --no-install-recommends cmake && \
    rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
# Paths of this machine would be in the program otherwise.
ENV CARGO_INCREMENTAL=0 \
    CARGO_TERM_COLOR=never \
    RUSTFLAGS="--remap-path-prefix=/src=/tidegate --remap-path-prefix=/usr/local/cargo=/cargo"
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,id=tidegate-target-${TARGETARCH},target=/src/target \
    cargo build --locked --release --package tidegate-gateway --bin tidegate && \
    install -D target/release/tidegate /out/tidegate

# The file system of the image. A test runs this with the program of the tests.
FROM build AS root
ARG SOURCE_DATE_EPOCH=0
ENV PROGRAM=/out/tidegate ROOT=/rootfs
RUN <<'ROOTFS'
set -eu
install -D -m 0755 "$PROGRAM" "$ROOT/usr/bin/tidegate"
# What the program loads, the loader itself included, where it looks for it.
ldd "$PROGRAM" | awk '$2 == "=>" && $3 ~ /^\// { print $3 } $1 ~ /^\// { print $1 }' | sort -u |
  while read -r library; do
    install -D -m 0755 "$(readlink -f "$library")" "$ROOT$library"
  done
# For HTTPS to backends and to the API server by public names.
install -D -m 0644 /etc/ssl/certs/ca-certificates.crt "$ROOT/etc/ssl/certs/ca-certificates.crt"
# Names are looked up in /etc/hosts, then by DNS.
echo 'hosts: files dns' >"$ROOT/etc/nsswitch.conf"
echo 'tidegate:x:65532:65532:tidegate:/:/sbin/nologin' >"$ROOT/etc/passwd"
echo 'tidegate:x:65532:' >"$ROOT/etc/group"
chmod 0644 "$ROOT/etc/nsswitch.conf" "$ROOT/etc/passwd" "$ROOT/etc/group"
find "$ROOT" -exec touch --no-dereference --date="@${SOURCE_DATE_EPOCH:-0}" {} +
ROOTFS
# Everything is there that it needs to start.
RUN chroot /rootfs /usr/bin/tidegate --version

FROM build AS sbom-build
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    cargo install --locked cargo-cyclonedx@0.5.9 && \
    cargo cyclonedx --manifest-path gateway/Cargo.toml --format json --override-filename sbom

FROM scratch AS sbom
COPY --from=sbom-build /src/gateway/sbom.json /

FROM scratch
LABEL org.opencontainers.image.title="tidegate" \
      org.opencontainers.image.description="Kubernetes ingress gateway" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.source="https://github.com/tidegate/tidegate"
COPY --from=root /rootfs /
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
USER 65532:65532
EXPOSE 8080 8443 10254
ENTRYPOINT ["/usr/bin/tidegate"]
CMD ["run", "--http-port=8080", "--https-port=8443"]
