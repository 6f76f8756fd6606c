package ballast

import (
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMemoryLimit(t *testing.T) {
	file := filepath.Join(t.TempDir(), "memory.max")
	require.Equal(t, int64(math.MaxInt64), memoryLimit(file))
	for text, want := range map[string]int64{"max\n": math.MaxInt64, "134217728\n": 128 << 20} {
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		require.Equal(t, want, memoryLimit(file))
	}
}
