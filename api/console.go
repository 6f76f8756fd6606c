package api

import (
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/ordersaga/ordersaga/internal/auth"
)

// consolePath is where the console is served.
const consolePath = "/console"

// consoleRoutes are the routes of the console. They are public here: each page asks the REST API as its caller, which checks the scopes.
func (s *Server) consoleRoutes() []route {
	if s.cfg.Console == nil {
		return nil
	}
	return []route{
		{http.MethodGet, consolePath, auth.Public, none, s.serveConsole},
		{http.MethodGet, consolePath + "/*", auth.Public, none, s.serveConsole},
		{http.MethodPost, consolePath + "/*", auth.Public, none, s.serveConsole},
	}
}

func (s *Server) serveConsole(c echo.Context) error {
	s.console.ServeHTTP(c.Response(), c.Request())
	return nil
}

// isConsole reports whether the router has found a route of the console.
func isConsole(c echo.Context) bool {
	return c.Path() == consolePath || strings.HasPrefix(c.Path(), consolePath+"/")
}
