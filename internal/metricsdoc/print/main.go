// Command print writes docs/reference/metrics.md to standard output. make docs and make check call it.
package main

import (
	"fmt"
	"os"

	"github.com/ordersaga/ordersaga/internal/metricsdoc"
)

func main() {
	page, err := metricsdoc.Markdown()
	if err == nil {
		_, err = os.Stdout.WriteString(page)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "print:", err)
		os.Exit(1)
	}
}
