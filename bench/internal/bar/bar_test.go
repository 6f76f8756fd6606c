package bar_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/bench/internal/bar"
	"github.com/ordersaga/ordersaga/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

func TestText(t *testing.T) {
	text := bar.Text(50, 100, 10*time.Second, "round 1, rest")
	require.Contains(t, text, " 50 %, 10s left, round 1, rest")
	require.Equal(t, bar.Width/2, strings.Count(text, "█"))
	require.Equal(t, bar.Width, strings.Count(bar.Text(200, 100, time.Second, ""), "█"), "more than was thought is no accident")
	require.Contains(t, bar.Text(0, 0, 0, ""), "? left")
}

// Without a terminal nothing moves.
func TestWithoutATerminal(t *testing.T) {
	out, err := os.Create(filepath.Join(t.TempDir(), "out"))
	require.NoError(t, err)
	defer out.Close()
	b := bar.New(out, 2)
	b.Doing("filling")
	b.Step(1)
	b.Line("%d of %d", 1, 2)
	b.Step(1)
	b.End()
	text, err := os.ReadFile(out.Name())
	require.NoError(t, err)
	require.Equal(t, "1 of 2\n", string(text))
}
