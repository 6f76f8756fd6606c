// Package replay replays workflow histories with the workflow functions of this binary, and reports those that do not replay: their
// sagas could not continue on this version. It only reads.
//
// A Checker and its methods are safe for concurrent use. It may import the Temporal SDK.
package replay
