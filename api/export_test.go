package api

import "github.com/ordersaga/ordersaga/workflows/order"

// Routes lists what is served, as "GET /v1/orders/{id}".
func (s *Server) Routes() []string {
	var routes []string
	for _, r := range s.routes() {
		routes = append(routes, r.method+" "+pathOf(r.path))
	}
	return routes
}

// RouterRoutes lists what the router serves, as "GET /v1/orders/:id".
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
