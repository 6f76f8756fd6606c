package client_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/ordersaga/ordersaga/client"
)

// shop is a service with one order, for the examples.
func shop() *httptest.Server {
	const order = `{"id": "shop-1001", "status": "completed", "currency": "EUR", "totalAmount": 450}`
	write := func(status int, contentType, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", contentType)
			if r.Header.Get("Last-Event-ID") != "" {
				status, body = http.StatusNoContent, ""
			}
			w.WriteHeader(status)
			fmt.Fprint(w, body)
		}
	}
	mux := http.NewServeMux()
	mux.Handle("POST /v1/orders", write(201, "application/json", order))
	mux.Handle("GET /v1/orders", write(200, "application/json", `{"items": [`+order+`], "nextCursor": null}`))
	mux.Handle("GET /v1/orders/{id}/events", write(200, "text/event-stream", "data: {\"version\": 1, \"type\": \"order.accepted\"}\n\n"+
		"data: {\"version\": 2, \"type\": \"order.completed\"}\n\n"))
	mux.Handle("POST /v1/orders/{id}/cancellation", write(409, "application/problem+json",
		`{"title": "The order can no longer be cancelled", "code": "cancellation_refused", "detail": "it has ended", "orderStatus": "completed"}`))
	return httptest.NewServer(mux)
}

func ExampleClient_PlaceOrderAndWait() {
	server := shop()
	defer server.Close()
	defer http.DefaultClient.CloseIdleConnections()

	c, err := client.New(client.Config{URL: server.URL, APIKey: "osk_…"})
	if err != nil {
		panic(err)
	}
	o, err := c.PlaceOrderAndWait(context.Background(), client.OrderRequest{
		ID: "shop-1001", CustomerID: "customer-7", Currency: "EUR",
		Lines:   []client.LineRequest{{SKU: "tea", Quantity: 1, UnitAmount: 450}},
		Payment: &client.Payment{Method: "tok_visa"},
	})
	if err != nil {
		panic(err)
	}
	fmt.Println(o.ID, o.Status, o.TotalAmount, o.Currency)
	// Output: shop-1001 completed 450 EUR
}

func ExampleClient_WatchOrder() {
	server := shop()
	defer server.Close()
	defer http.DefaultClient.CloseIdleConnections()

	c, err := client.New(client.Config{URL: server.URL})
	if err != nil {
		panic(err)
	}
	for e, err := range c.WatchOrder(context.Background(), "shop-1001", 0) {
		if err != nil {
			panic(err)
		}
		fmt.Println(e.Version, e.Type)
	}
	// Output:
	// 1 order.accepted
	// 2 order.completed
}

func ExampleClient_Orders() {
	server := shop()
	defer server.Close()
	defer http.DefaultClient.CloseIdleConnections()

	c, err := client.New(client.Config{URL: server.URL})
	if err != nil {
		panic(err)
	}
	for o, err := range c.Orders(context.Background(), client.Filter{Statuses: []string{client.StatusCompleted}}) {
		if err != nil {
			panic(err)
		}
		fmt.Println(o.ID)
	}
	// Output: shop-1001
}

func ExampleError() {
	server := shop()
	defer server.Close()
	defer http.DefaultClient.CloseIdleConnections()

	c, err := client.New(client.Config{URL: server.URL})
	if err != nil {
		panic(err)
	}
	_, err = c.CancelOrder(context.Background(), "shop-1001", "ordered twice")
	var refused *client.Error
	if errors.As(err, &refused) && refused.Code == client.CodeCancellationRefused {
		fmt.Println("it is", refused.OrderStatus)
	}
	// Output: it is completed
}
