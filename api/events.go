package api

import (
	_ "embed" // the file below
	"strconv"

	"github.com/labstack/echo/v4"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
)

// asyncAPI describes the events on the bus. It is generated from the catalog: make docs.
//
//go:embed asyncapi.yaml
var asyncAPI []byte

func (s *Server) serveAsyncAPI(c echo.Context) error {
	return writeDocument(c, "application/yaml", asyncAPI)
}

// serveSchema is GET /schemas/{type}/{version}, which is what the dataschema of every event names.
func (s *Server) serveSchema(c echo.Context) error {
	version, err := strconv.Atoi(c.Param("version"))
	if err == nil && strconv.Itoa(version) == c.Param("version") {
		if schema, ok := event.Schema(c.Param("type"), version); ok {
			return writeDocument(c, "application/schema+json", schema)
		}
	}
	return fault.New(fault.NotFound, "there is no such schema")
}
