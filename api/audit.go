package api

import (
	"context"
	"net/http"
	"strconv"

	"github.com/labstack/echo/v4"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/audit"
	"github.com/ordersaga/ordersaga/internal/checkpoint"
	"github.com/ordersaga/ordersaga/internal/cursor"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/null"
)

// Checkpoints are the audit checkpoints of the log.
type Checkpoints interface {
	// List returns at most limit signed checkpoints after number after, oldest first. Errors: Unavailable.
	List(ctx context.Context, after int64, limit int) ([]checkpoint.Summary, error)
	// Get returns a signed checkpoint. Errors: NotFound, Unavailable.
	Get(ctx context.Context, n int64) (checkpoint.Summary, error)
	// Prove returns the proof of an order, and reports whether it is valid for the service's public keys. Errors: NotCheckpointed, Unavailable.
	Prove(ctx context.Context, orderID string) (proof audit.Proof, verified bool, err error)
}

type checkpointResource struct {
	N        int64     `json:"n"`
	Size     int64     `json:"size"`
	RootHash string    `json:"rootHash"`
	Time     null.Time `json:"time"`
	KeyID    string    `json:"keyId"`
}

func (s *Server) listCheckpoints(c echo.Context) error {
	q := queryOf(c, "limit", "cursor")
	after, limit := q.version(), q.limit(cursor.DefaultLimit)
	view := func(s checkpoint.Summary) checkpointResource {
		return checkpointResource{s.N, s.Size, s.RootHash, null.At(s.Time), s.KeyID}
	}
	return answerPage(s, c, q, view, func(ctx context.Context) ([]checkpoint.Summary, string, error) {
		if s.cfg.Checkpoints == nil {
			return nil, "", nil
		}
		list, err := s.cfg.Checkpoints.List(ctx, after, limit)
		next := ""
		if len(list) == limit {
			next = strconv.FormatInt(list[limit-1].N, 10)
		}
		return list, next, err
	})
}

// getCheckpoint answers with the signed note.
func (s *Server) getCheckpoint(c echo.Context) error {
	if err := queryOf(c).err(); err != nil {
		return err
	}
	text := c.Param("n")
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || s.cfg.Checkpoints == nil || strconv.FormatInt(n, 10) != text {
		return fault.New(fault.NotFound, "there is no signed checkpoint %s", shortened(text))
	}
	ctx, cancel := s.withDependencyTimeout(c)
	defer cancel()
	found, err := s.cfg.Checkpoints.Get(ctx, n)
	if err != nil {
		return err
	}
	return c.Blob(http.StatusOK, echo.MIMETextPlainCharsetUTF8, []byte(found.Note))
}

type orderAuditResource struct {
	Stream string     `json:"stream"`
	Head   event.Head `json:"head"`
	// LeafIndex and Proof prove that the head is in the checkpoint.
	LeafIndex  int64    `json:"leafIndex"`
	Proof      []string `json:"proof"`
	Checkpoint int64    `json:"checkpoint"`
	Verified   bool     `json:"verified"`
}

func (s *Server) getOrderAudit(c echo.Context) error {
	if err := queryOf(c).err(); err != nil {
		return err
	}
	id, err := orderID(c)
	if err != nil {
		return err
	}
	return answer(s, c, itself[orderAuditResource], func(ctx context.Context) (orderAuditResource, error) {
		if _, err := s.loadOrder(ctx, id); err != nil {
			return orderAuditResource{}, err
		}
		if s.cfg.Checkpoints == nil {
			return orderAuditResource{}, fault.New(fault.NotCheckpointed, "there is no signed checkpoint yet")
		}
		proof, verified, err := s.cfg.Checkpoints.Prove(ctx, id)
		if err != nil {
			return orderAuditResource{}, err
		}
		of, err := audit.NoteCheckpoint(proof.Checkpoint)
		r := orderAuditResource{
			Stream: proof.Leaf.Stream, Head: event.Head{Version: proof.Leaf.Version, Hash: proof.Leaf.Hash}, LeafIndex: proof.LeafIndex, Proof: []string{},
			Checkpoint: of.N, Verified: verified,
		}
		for _, hash := range proof.Proof {
			r.Proof = append(r.Proof, hash.String())
		}
		return r, err
	})
}
