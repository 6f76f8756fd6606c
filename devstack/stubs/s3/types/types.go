// Package types declares the types of S3 that the Temporal server uses.
package types

type (
	NoSuchBucket struct{}
	NoSuchKey    struct{}
	CommonPrefix struct{ Prefix *string }
	Object       struct{ Key *string }
)

func (*NoSuchBucket) Error() string { return "no such bucket" }
func (*NoSuchKey) Error() string    { return "no such key" }
