// Command print writes a document that is generated from the catalog of events to standard output: markdown or asyncapi.
// make docs and make check call it.
package main

import (
	"fmt"
	"os"

	"github.com/ordersaga/ordersaga/internal/catalogdoc"
)

func main() {
	documents := map[string]func() ([]byte, error){"markdown": catalogdoc.Markdown, "asyncapi": catalogdoc.AsyncAPI}
	if len(os.Args) != 2 || documents[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: print markdown|asyncapi")
		os.Exit(2)
	}
	document, err := documents[os.Args[1]]()
	if err == nil {
		_, err = os.Stdout.Write(document)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "print:", err)
		os.Exit(1)
	}
}
