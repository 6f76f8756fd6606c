package audit

import (
	"golang.org/x/mod/sumdb/tlog"

	"github.com/ordersaga/ordersaga/internal/fault"
)

// Tree is a tree that has grown by leaves. Old hashes are read from the tree before, new ones are in memory. It implements tlog.HashReader.
type Tree struct {
	tlog.Tree
	before tlog.HashReader
	// base is the number of hashes of the tree before, and added are those that follow.
	base  int64
	added []tlog.Hash
}

// empty is the HashReader of a tree without leaves.
var empty = tlog.HashReaderFunc(func([]int64) ([]tlog.Hash, error) {
	return nil, fault.New(fault.Internal, "a tree without leaves has no hashes")
})

// Grow returns the tree of the given size after its next leaves. Before has the hashes of that tree; nil if size is 0. It reads a number of them
// that is logarithmic in size. Errors: those of before.
func Grow(size int64, before tlog.HashReader, leaves []Leaf) (*Tree, error) {
	if before == nil {
		before = empty
	}
	t := &Tree{Tree: tlog.Tree{N: size}, before: before, base: tlog.StoredHashCount(size)}
	for _, l := range leaves {
		hashes, err := tlog.StoredHashesForRecordHash(t.N, l.TreeHash(), t)
		if err != nil {
			return nil, err
		}
		t.added = append(t.added, hashes...)
		t.N++
	}
	root, err := tlog.TreeHash(t.N, t)
	t.Hash = root
	return t, err
}

// Root returns the root of the tree when it had n leaves.
func (t *Tree) Root(n int64) (tlog.Hash, error) { return tlog.TreeHash(n, t) }

// ReadHashes implements tlog.HashReader.
func (t *Tree) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	found := make([]tlog.Hash, len(indexes))
	var old, at []int64
	for i, index := range indexes {
		if index < t.base {
			old, at = append(old, index), append(at, int64(i))
			continue
		}
		if index-t.base >= int64(len(t.added)) {
			return nil, fault.New(fault.Internal, "the tree has no hash %d", index)
		}
		found[i] = t.added[index-t.base]
	}
	if len(old) == 0 {
		return found, nil
	}
	hashes, err := t.before.ReadHashes(old)
	if err != nil {
		return nil, err
	}
	for i, h := range hashes {
		found[at[i]] = h
	}
	return found, nil
}
