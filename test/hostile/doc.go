// Package hostile sends a service what clients must not send. It generates requests from an OpenAPI document, valid ones and invalid ones,
// sends them byte by byte, and checks every answer against the document. It imports nothing of the service.
//
// A request depends on the seed and its number alone: a failure prints both.
package hostile
