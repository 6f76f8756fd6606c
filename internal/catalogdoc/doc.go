// Package catalogdoc writes what readers and their tools want to know about the catalog of events: docs/events.md and
// api/asyncapi.yaml. Both follow from event alone, so that they cannot say anything else than the code does; a test
// and make check notice when they are stale, make docs writes them.
//
// Everything here is pure: same catalog, same bytes.
package catalogdoc
