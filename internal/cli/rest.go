package cli

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// defaultURL is the API of a service with default settings on this machine.
const defaultURL = "http://127.0.0.1:8080"

const (
	// restTimeout bounds one request; the API waits for a minute at most.
	restTimeout = 75 * time.Second
	// maxAnswer bounds the body of an answer.
	maxAnswer = 1 << 20
)

// restClient sends the requests of commands that work over REST: to ORDERSAGA_URL, with the key in ORDERSAGA_API_KEY.
type restClient struct {
	url, key string
	http     *http.Client
}

func newRESTClient() (*restClient, error) {
	c := &restClient{url: strings.TrimRight(cmp.Or(os.Getenv("ORDERSAGA_URL"), defaultURL), "/"), key: os.Getenv("ORDERSAGA_API_KEY")}
	to, err := url.Parse(c.url)
	switch {
	case err != nil || to.Host == "" || to.Scheme != "http" && to.Scheme != "https":
		return nil, errors.New("ORDERSAGA_URL: expected the URL of the API, such as https://orders.example.com")
	case to.User != nil:
		return nil, errors.New("ORDERSAGA_URL: must not have a password; set ORDERSAGA_API_KEY")
	}
	// The key is not sent to another server.
	c.http = &http.Client{Timeout: restTimeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return c, nil
}

// post sends a body and reads the answer. An error of the API says what it says.
func (c *restClient) post(ctx context.Context, path string, body any, headers map[string]string) (answer json.RawMessage, err error) {
	raw, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url+path, bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	if c.key != "" {
		request.Header.Set("Authorization", "Bearer "+c.key)
	}
	for name, value := range headers {
		if value != "" {
			request.Header.Set(name, value)
		}
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	answer, err = io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return nil, err
	}
	if response.StatusCode >= http.StatusMultipleChoices || !json.Valid(answer) {
		return nil, refusal(response.Status, answer)
	}
	return answer, nil
}

// refusal is the error of an answer that is a problem (RFC 9457), or nothing that is known.
func refusal(status string, answer []byte) error {
	var p struct {
		Title, Detail, Code string
		Errors              []struct{ Pointer, Detail string }
	}
	if json.Unmarshal(answer, &p) != nil || p.Code == "" {
		return fmt.Errorf("the API answered %s", status)
	}
	text := printable(cmp.Or(p.Detail, p.Title))
	for _, e := range p.Errors {
		text += "; " + printable(strings.TrimSpace(e.Pointer+" "+e.Detail))
	}
	return fmt.Errorf("%s (%s)", text, printable(p.Code))
}
