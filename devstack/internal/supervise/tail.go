package supervise

import (
	"bytes"
	"io"
	"os"
	"strings"
)

const (
	tailLines = 20
	tailBytes = 32 << 10 // more is not read
)

// tail returns the last lines of the log, none from before start.
func tail(path string, start int64) string {
	file, err := os.Open(path)
	if err != nil {
		return "  (" + err.Error() + ")"
	}
	defer file.Close()
	if info, err := file.Stat(); err == nil {
		start = max(start, info.Size()-tailBytes)
	}
	content, err := io.ReadAll(io.NewSectionReader(file, start, tailBytes))
	if err != nil {
		return "  (" + err.Error() + ")"
	}
	content = bytes.TrimSpace(content)
	if len(content) == 0 {
		return "  (it is empty)"
	}
	lines := strings.Split(string(content), "\n")
	if len(lines) > tailLines {
		lines = lines[len(lines)-tailLines:]
	}
	return "  | " + strings.Join(lines, "\n  | ")
}
