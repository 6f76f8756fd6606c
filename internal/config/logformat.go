package config

import "os"

// LogFormat is how log lines are written.
type LogFormat string

// The log formats.
const (
	// LogAuto is text on a terminal and JSON everywhere else.
	LogAuto LogFormat = "auto"
	// LogJSON is one JSON object a line.
	LogJSON LogFormat = "json"
	// LogText is key=value, for people.
	LogText LogFormat = "text"
)

// For returns LogJSON or LogText: what the format means for lines that go to f.
func (l LogFormat) For(f *os.File) LogFormat {
	if l != LogAuto {
		return l
	}
	if info, err := f.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
		return LogText
	}
	return LogJSON
}
