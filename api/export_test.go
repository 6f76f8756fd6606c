package api

import "github.com/ordersaga/ordersaga/workflows/order"

// Routes lists the routes, as "GET /v1/orders/{id}".
func (s *Server) Routes() []string {
	var routes []string
	for _, r := range s.routes() {
		routes = append(routes, r.method+" "+pathOf(r.path))
	}
	return routes
}

// RouterRoutes lists the routes of the router, as "GET /v1/orders/:id".
func (s *Server) RouterRoutes() []string {
	var routes []string
	for _, r := range s.echo.Routes() {
		routes = append(routes, r.Method+" "+r.Path)
	}
	return routes
}

// Specification is openapi.yaml.
var Specification = specification

// DecodeOrder is the decoder of POST /v1/orders.
func DecodeOrder(body []byte) (order.Order, error) { return decodeOrder(body) }

// Functions that tables test directly.
var (
	PreferredWait = preferredWait
	PreferredType = preferredType
	SagaPath      = sagaPath
)

// BodyDecoders are the decoders of the bodies of POST, besides those of orders.
var BodyDecoders = map[string]func(body []byte) error{
	"reason":     decoderOf(decodeReason),
	"resolution": decoderOf(decodeResolution),
	"receipt":    decoderOf(decodeReceipt),
	"adjustment": decoderOf(decodeAdjustment),
	"count":      decoderOf(decodeCount),
	"discard":    decoderOf(decodeDiscard),
	"replay":     decoderOf(decodeReplay),
}

func decoderOf[T any](decode func(body []byte) (T, error)) func(body []byte) error {
	return func(body []byte) error {
		_, err := decode(body)
		return err
	}
}
