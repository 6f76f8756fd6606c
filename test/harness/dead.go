package harness

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// DeadLetter is a dead letter as the API shows it.
type DeadLetter struct {
	ID               string  `json:"id"`
	Status           string  `json:"status"`
	Reason           string  `json:"reason"`
	Detail           string  `json:"detail"`
	Type             string  `json:"type"`
	EventID          string  `json:"eventId"`
	Subject          string  `json:"subject"`
	OriginExchange   string  `json:"originExchange"`
	OriginRoutingKey string  `json:"originRoutingKey"`
	Queue            string  `json:"queue"`
	Attempts         int     `json:"attempts"`
	ReplayOf         *string `json:"replayOf"`
	Replays          int     `json:"replays"`
	PayloadHash      string  `json:"payloadHash"`
	Size             int     `json:"size"`
	Properties       struct {
		MessageID string `json:"messageId"`
	} `json:"properties"`
	Headers         map[string]any `json:"headers"`
	Payload         string         `json:"payload"`
	PayloadEncoding string         `json:"payloadEncoding"`
	History         []Item         `json:"history"`
}

// DryRun is the result of a dry run of a replay.
type DryRun struct {
	Outcome string  `json:"outcome"`
	Would   string  `json:"would"`
	Refusal *string `json:"refusal"`
}

// DeadLetters returns a page of the dead letters.
func (c Client) DeadLetters(ctx context.Context, query string) ([]DeadLetter, error) {
	var list struct {
		Items []DeadLetter `json:"items"`
	}
	response, err := c.Do(ctx, http.MethodGet, "/v1/dead-letters"+query, nil)
	if err != nil {
		return nil, err
	}
	err = response.Into(http.StatusOK, &list)
	return list.Items, err
}

// DeadLetter returns a dead letter.
func (c Client) DeadLetter(ctx context.Context, id string) (DeadLetter, error) {
	var l DeadLetter
	response, err := c.Do(ctx, http.MethodGet, "/v1/dead-letters/"+id, nil)
	if err != nil {
		return l, err
	}
	err = response.Into(http.StatusOK, &l)
	return l, err
}

// AwaitDead waits until a dead letter is stored that satisfies the condition.
func (c Client) AwaitDead(ctx context.Context, want func(DeadLetter) bool) (found DeadLetter, err error) {
	seen := map[string]bool{}
	err = Poll(ctx, 50*time.Millisecond, func() bool {
		letters, _ := c.DeadLetters(ctx, "?limit=500")
		for _, l := range letters {
			key := l.ID + l.Status
			if seen[key] {
				continue
			}
			full, err := c.DeadLetter(ctx, l.ID)
			if err != nil {
				continue
			}
			if want(full) {
				found = full
				return true
			}
			// The history of a letter is written after it: a letter without a history is not ready.
			seen[key] = len(full.History) > 0
		}
		return false
	})
	if err != nil {
		err = fmt.Errorf("no such dead letter: %w", err)
	}
	return found, err
}

// Replay replays a dead letter.
func (c Client) Replay(ctx context.Context, id string, body any) (Response, error) {
	return c.Do(ctx, http.MethodPost, "/v1/dead-letters/"+id+"/replay", body)
}

// DryRun requests a dry run of the replay of a dead letter.
func (c Client) DryRun(ctx context.Context, id string) (DryRun, error) {
	var run DryRun
	response, err := c.Do(ctx, http.MethodPost, "/v1/dead-letters/"+id+"/replay?dryRun=true", nil)
	if err != nil {
		return run, err
	}
	err = response.Into(http.StatusOK, &run)
	return run, err
}
