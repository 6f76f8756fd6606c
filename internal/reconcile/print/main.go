// Command print writes docs/reference/findings.md to standard output. make docs and make check call it.
package main

import (
	"fmt"
	"os"

	"github.com/ordersaga/ordersaga/internal/reconcile"
)

func main() {
	if err := reconcile.WriteMarkdown(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "print:", err)
		os.Exit(1)
	}
}
