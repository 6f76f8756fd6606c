package api

import (
	"context"
	"errors"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/ordersaga/ordersaga/internal/auth"
	"github.com/ordersaga/ordersaga/internal/fault"
)

const (
	// maxToken bounds a token in bytes: a JWT is parsed before it is verified.
	maxToken = 16 << 10
	// maxCause bounds in bytes what is logged of why a token was refused: parts of it are the sender's.
	maxCause = 300
)

// Keys of echo's context: the auth.Caller, and why there is none.
const (
	contextCaller  = "caller"
	contextRefusal = "refusal"
)

// bearer is the form of a token (RFC 6750, 2.1). It has no comma, so that two headers which a proxy has joined are none.
var bearer = regexp.MustCompile(`^[A-Za-z0-9._~+/-]+=*$`)

// guard lets a route be called by callers with its scope, within their limits. It is the only way to a handler.
func (s *Server) guard(r route) echo.HandlerFunc {
	if r.scope == auth.Public {
		return r.handle
	}
	return func(c echo.Context) error {
		leave, err := s.limits.enter()
		if err != nil {
			return err
		}
		defer leave()
		caller, err := s.authenticate(c)
		if err != nil {
			return err
		}
		c.Set(contextCaller, caller)
		if err := s.limits.take(caller, s.cfg.Clock(), c.Response().Header()); err != nil {
			return err
		}
		if caller.CustomerID != "" && !r.limited {
			return s.insufficient(c, r.scope, "the credentials are limited to the orders of one customer")
		}
		if err := s.require(c, r.scope); err != nil {
			return err
		}
		return r.handle(c)
	}
}

// require checks a scope of the caller. The error is InsufficientScope.
func (s *Server) require(c echo.Context, scope auth.Scope) error {
	if callerOf(c).Has(scope) {
		return nil
	}
	return s.insufficient(c, scope, "the scope "+string(scope)+" is required")
}

func (s *Server) insufficient(c echo.Context, scope auth.Scope, detail string) error {
	challenge(c, `, error="insufficient_scope", scope="`+string(scope)+`"`)
	return fault.New(fault.InsufficientScope, "%s", detail)
}

// challenge tells clients how to authenticate (RFC 6750, 3).
func challenge(c echo.Context, what string) {
	c.Response().Header().Set(echo.HeaderWWWAuthenticate, `Bearer realm="ordersaga"`+what)
}

// callerOf returns the caller of a request that the guard has let in.
func callerOf(c echo.Context) auth.Caller {
	if caller, ok := c.Get(contextCaller).(auth.Caller); ok {
		return caller
	}
	return auth.Caller{}
}

// authenticate finds the caller. Errors: Unauthenticated, Unavailable.
func (s *Server) authenticate(c echo.Context) (auth.Caller, error) {
	if s.cfg.Auth == nil {
		return auth.Anonymous(), nil
	}
	values := c.Request().Header.Values(echo.HeaderAuthorization)
	if len(values) == 0 {
		challenge(c, "")
		return auth.Caller{}, auth.Refused("send the header Authorization: Bearer with an API key or a token")
	}
	caller, err := s.callerBy(c.Request().Context(), values)
	if errors.Is(err, fault.Unauthenticated) {
		challenge(c, `, error="invalid_token"`)
		cause := err.Error()
		c.Set(contextRefusal, strings.ToValidUTF8(cause[:min(len(cause), maxCause)], ""))
	}
	return caller, err
}

// callerBy finds the caller by the values of Authorization headers.
func (s *Server) callerBy(ctx context.Context, values []string) (auth.Caller, error) {
	if len(values) != 1 {
		return auth.Caller{}, auth.Refused("the header Authorization must be given once")
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	token = strings.TrimLeft(token, " ")
	if !strings.EqualFold(scheme, "Bearer") || len(token) > maxToken || !bearer.MatchString(token) {
		return auth.Caller{}, auth.Refused("the header Authorization must be Bearer and an API key or a token")
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.DependencyTimeout)
	defer cancel()
	return s.cfg.Auth.Authenticate(ctx, token)
}

// whileValid returns a context for an answer that takes long: it ends when the caller's credentials have been revoked or have expired. The
// caller of it calls done, which returns when nothing of it runs any more.
func (s *Server) whileValid(ctx context.Context, c echo.Context) (_ context.Context, done func()) {
	ctx, cancel := context.WithCancel(ctx)
	caller := callerOf(c)
	if !caller.Authenticated() {
		return ctx, cancel
	}
	values := c.Request().Header.Values(echo.HeaderAuthorization)
	var checking sync.WaitGroup
	checking.Go(func() {
		defer cancel()
		for every := time.NewTicker(s.cfg.Recheck); ; {
			select {
			case <-every.C:
			case <-ctx.Done():
				every.Stop()
				return
			}
			again, err := s.callerBy(ctx, values)
			if err != nil || again.Actor != caller.Actor {
				if ctx.Err() == nil {
					s.cfg.Logger.LogAttrs(ctx, slog.LevelInfo, "credentials are no longer valid", slog.String("caller", caller.Actor),
						slog.String("code", string(fault.CodeOf(err))), slog.String("correlation_id", correlationOf(ctx)))
				}
				every.Stop()
				return
			}
		}
	})
	return ctx, func() {
		cancel()
		checking.Wait()
	}
}

// actor returns what an event says about who decided: the caller, or without authentication what the body says. The error is Invalid when
// the body says it for an authenticated caller.
func actor(c echo.Context, said string) (string, error) {
	caller := callerOf(c)
	switch {
	case !caller.Authenticated():
		return said, nil
	case said != "":
		return "", fault.NewInvalid("request", []fault.Field{fault.Fieldf("/by", "is taken from the credentials: leave it out")})
	}
	return caller.Actor, nil
}

// scopedKey makes an Idempotency-Key the caller's own, where it is not part of an ID of this package.
func scopedKey(c echo.Context, key string) string {
	if namespace := callerOf(c).Namespace; key != "" && namespace != auth.AnonymousNamespace {
		return namespace + " " + key
	}
	return key
}

// forCustomer returns the customer that a request is about: the one that is named, or the only one that the caller may act for. The error
// is CustomerNotAllowed.
func forCustomer(c echo.Context, named string) (string, error) {
	switch limit := callerOf(c).CustomerID; {
	case limit == "" || limit == named:
		return named, nil
	case named == "":
		return limit, nil
	}
	return "", fault.New(fault.CustomerNotAllowed, "the credentials are limited to the orders of another customer")
}

// ownID refuses an ID in a request of a caller that is limited to a customer, whether or not it is in use: the answer would tell which IDs
// other customers' orders have. IDs from an Idempotency-Key are the caller's own. The error is Invalid.
func ownID(c echo.Context, id string) error {
	if id == "" || callerOf(c).CustomerID == "" {
		return nil
	}
	return fault.NewInvalid("order", []fault.Field{fault.Fieldf("/id",
		"cannot be chosen with credentials that are limited to one customer: leave it out and send an Idempotency-Key")})
}
