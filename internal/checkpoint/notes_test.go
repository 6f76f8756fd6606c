package checkpoint

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
)

// TestNotesOfManyProcesses: processes with one folder write notes of the same checkpoints, in any order.
func TestNotesOfManyProcesses(t *testing.T) {
	const processes, checkpoints = 4, 30
	dir := t.TempDir()
	note := func(n int64) string { return strings.Repeat(fmt.Sprintf("note %d\n", n), 1000) }
	var work errgroup.Group
	for range processes {
		l := New(Config{Dir: dir})
		work.Go(func() error {
			for n := int64(1); n <= checkpoints; n++ {
				if err := l.write(Summary{N: n, Note: note(n)}); err != nil {
					return err
				}
				text, err := os.ReadFile(filepath.Join(dir, fmt.Sprint(n)))
				if err != nil || string(text) != note(n) {
					return fmt.Errorf("note %d is torn: %w", n, err)
				}
			}
			return nil
		})
	}
	require.NoError(t, work.Wait())

	newest := func() string {
		text, err := os.ReadFile(filepath.Join(dir, "newest"))
		require.NoError(t, err)
		return string(text)
	}
	assert.Equal(t, note(checkpoints), newest())
	require.NoError(t, New(Config{Dir: dir}).write(Summary{N: checkpoints - 1, Note: note(checkpoints - 1)}))
	assert.Equal(t, note(checkpoints), newest(), "a late process does not take it back")
	files, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, files, checkpoints+1, "no temporary files are left")
}
