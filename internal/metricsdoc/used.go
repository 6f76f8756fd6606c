package metricsdoc

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// metricName is a metric of the service, of Temporal's SDK, or of the process, in a query.
var metricName = regexp.MustCompile(`\b(?:ordersaga|temporal|process|go)_[a-z0-9_]+\b`)

// Used are the metrics that dashboards and rules of the repository in root name, by file. A histogram is named without _bucket, _count and _sum.
func Used(root string) (map[string][]string, error) {
	used := make(map[string][]string)
	for _, pattern := range []string{"deploy/grafana/*.json", "deploy/prometheus/rules.yml"} {
		files, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(pattern)))
		if err != nil || len(files) == 0 {
			return nil, fmt.Errorf("there is no %s: %w", pattern, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				return nil, err
			}
			var names []string
			for _, name := range metricName.FindAllString(string(text), -1) {
				for _, suffix := range []string{"_bucket", "_count", "_sum"} {
					name = strings.TrimSuffix(name, suffix)
				}
				if !slices.Contains(names, name) {
					names = append(names, name)
				}
			}
			used[filepath.Base(file)] = names
		}
	}
	return used, nil
}
