# ordersaga: one static binary in an empty image.
#
#   docker build -t ordersaga .
#
# Only the root module is built: a Temporal server for development is a module of its own and stays out.

FROM --platform=$BUILDPLATFORM golang:1.26.8-alpine AS build
WORKDIR /src

# The modules change less often than the code: a layer of their own.
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download

COPY . .
ARG TARGETOS
ARG TARGETARCH
ARG VERSION=dev
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/go/build \
    GOCACHE=/go/build CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=$VERSION" -o /out/ordersaga ./cmd/ordersaga

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/ordersaga /ordersaga

# A user without rights. The image has no user database, so the user is a number.
USER 65532:65532

# A container is not reached on its loopback address. Off loopback, PAYMENT_GATEWAY and API_AUTH must be set.
ENV HTTP_ADDR=0.0.0.0:8080
EXPOSE 8080

HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=6 CMD ["/ordersaga", "health"]
ENTRYPOINT ["/ordersaga"]
CMD ["serve"]
