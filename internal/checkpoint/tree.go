package checkpoint

import (
	"context"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/audit"
	"github.com/ordersaga/ordersaga/internal/fault"
)

// tileHeight is the height of tiles: 256 hashes.
const tileHeight = 8

// tree returns the hashes of the tree of a checkpoint; nil before the first one. Tiles are verified against the root. If one is lost or wrong, all are
// computed again from the leaves.
func (l *Ledger) tree(ctx context.Context, b body) (tlog.HashReader, error) {
	if b.N == 0 {
		return nil, nil
	}
	c, err := b.checkpoint()
	if err != nil {
		return nil, err
	}
	stored := tlog.TileHashReader(c.Tree, &tiles{ctx, l.cfg.Store, make(map[string][]byte)})
	// The tiles at the right edge are those of which the next leaves need hashes.
	if _, err := tlog.TreeHash(c.Tree.N, stored); err == nil {
		return stored, nil
	}
	leaves, err := l.allLeaves(ctx, b.N)
	if err != nil {
		return nil, err
	}
	tree, err := audit.Grow(0, nil, leaves)
	if err == nil && tree.Tree != c.Tree {
		err = fault.New(fault.Corrupt, "the leaves up to checkpoint %d have another root", b.N)
	}
	if err == nil {
		err = l.saveTree(ctx, 0, tree, leaves)
	}
	return tree, err
}

// allLeaves returns the leaves of checkpoints 1 to n, up to the first one that is lost.
func (l *Ledger) allLeaves(ctx context.Context, n int64) ([]audit.Leaf, error) {
	var leaves []audit.Leaf
	for page, err := range event.Pages(ctx, l.cfg.Log, audit.Stream, 0) {
		if err != nil {
			return nil, err
		}
		for _, r := range page {
			if r.Type != event.AuditCheckpointRecorded || r.Version > recordedAt(n) {
				continue
			}
			b, err := event.Decode[body](r.Event)
			if err != nil {
				return nil, err
			}
			more, err := l.cfg.Store.Leaves(ctx, b.N, b.RootHash, b.Leaves)
			leaves = append(leaves, more...)
			if err != nil || int64(len(more)) != b.Leaves {
				return leaves, err
			}
		}
	}
	return leaves, nil
}

// tiles implements tlog.TileReader for one tree, and reads each tile once.
type tiles struct {
	ctx   context.Context //nolint:containedctx // tlog.TileReader has no context
	store Store
	// verified has the tiles that were read, by path.
	verified map[string][]byte
}

func (*tiles) Height() int { return tileHeight }

// SaveTiles implements tlog.TileReader. The tiles are verified against the root.
func (t *tiles) SaveTiles(read []tlog.Tile, data [][]byte) {
	for i, tile := range read {
		t.verified[tile.Path()] = data[i]
	}
}

// ReadTiles implements tlog.TileReader.
func (t *tiles) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	var unread []string
	for _, w := range wanted {
		if path := w.Path(); t.verified[path] == nil {
			unread = append(unread, path)
		}
	}
	found, err := t.store.Tiles(t.ctx, unread)
	if err != nil {
		return nil, err
	}
	data := make([][]byte, len(wanted))
	for i, w := range wanted {
		path := w.Path()
		if data[i] = t.verified[path]; data[i] == nil {
			data[i] = found[path]
		}
		if data[i] == nil {
			return nil, fault.New(fault.NotFound, "tile %s is lost", path)
		}
	}
	return data, nil
}
