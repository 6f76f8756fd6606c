package api_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/api"
	"github.com/ordersaga/ordersaga/internal/auth"
)

// promised is within which time a revocation is effective.
const promised = 30 * time.Second

func TestStreamEndsWithItsCredentials(t *testing.T) {
	for name, end := range map[string]func(auth.Admin) error{
		"revoked": func(a auth.Admin) error { _, err := a.Revoke(context.Background(), "shop"); return err },
		"rotated": func(a auth.Admin) error { _, _, err := a.Rotate(context.Background(), "shop", 0); return err },
	} {
		synctest.Test(t, func(t *testing.T) {
			// Without a heartbeat the deadline of the last write has passed when the stream ends.
			g := newGuarded(t, func(c *api.Config) { c.Heartbeat = time.Hour })
			key := g.key("shop", auth.OrdersRead)
			g.append("o-1", timeline("o-1")[:2]...)
			s := servePiped(t, g.server)
			c := s.send("GET /v1/orders/o-1/events HTTP/1.1\nHost: localhost\nAccept: text/event-stream\nAuthorization: Bearer " + key + "\n\n")
			response, err := http.ReadResponse(c.answer, nil)
			require.NoError(t, err)
			require.Equal(t, http.StatusOK, response.StatusCode)
			time.AfterFunc(5*time.Minute, func() { require.NoError(t, end(g.admin)) })
			began := time.Now()
			read, err := io.ReadAll(response.Body)
			require.NoError(t, err)
			require.Contains(t, string(read), "id: 2\n", name)
			require.GreaterOrEqual(t, time.Since(began), 5*time.Minute, name)
			require.LessOrEqual(t, time.Since(began), 5*time.Minute+promised, name)
			require.NoError(t, c.Close())
		})
	}
}

func TestWaitingRequestEndsWithItsCredentials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuarded(t)
		key := g.key("shop")
		time.AfterFunc(time.Second, func() { _, _ = g.admin.Revoke(context.Background(), "shop") })
		began := time.Now()
		a := g.as(key, http.MethodPost, "/v1/orders", validOrder, "Prefer", "wait=60")
		require.Equal(t, http.StatusAccepted, a.status)
		require.LessOrEqual(t, time.Since(began), promised+time.Second)
	})
}

func TestStreamLimitIsPerCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuarded(t, func(c *api.Config) { c.MaxCallerStreams = 1 })
		shop, other := g.key("shop"), g.key("other")
		g.append("o-1", timeline("o-1")[:2]...)
		s := servePiped(t, g.server)
		open := func(key string) (*client, int) {
			c := s.send("GET /v1/orders/o-1/events HTTP/1.1\nHost: localhost\nAccept: text/event-stream\nAuthorization: Bearer " + key + "\n\n")
			line, err := c.answer.ReadString('\n')
			require.NoError(t, err)
			return c, map[string]int{"200": 200, "429": 429}[strings.Fields(line)[1]]
		}
		first, status := open(shop)
		require.Equal(t, 200, status)
		refused, status := open(shop)
		require.Equal(t, 429, status)
		second, status := open(other)
		require.Equal(t, 200, status)
		for _, c := range []*client{first, refused, second} {
			require.NoError(t, c.Close())
		}
		time.Sleep(time.Minute) // the server notices that its clients are gone
		third, status := open(shop)
		require.Equal(t, 200, status)
		require.NoError(t, third.Close())
	})
}

func TestWaitLimitIsPerCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuarded(t, func(c *api.Config) { c.MaxCallerWaits = 1 })
		shop, other := g.key("shop"), g.key("other")
		took := func(key string) time.Duration {
			began := time.Now()
			require.Equal(t, http.StatusAccepted, g.as(key, http.MethodPost, "/v1/orders", validOrder, "Prefer", "wait=10").status)
			return time.Since(began)
		}
		go took(shop)
		synctest.Wait()
		time.Sleep(time.Second)
		require.Less(t, took(shop), time.Second, "answered at once")
		require.Equal(t, 10*time.Second, took(other))
		require.Equal(t, 10*time.Second, took(shop))
	})
}
