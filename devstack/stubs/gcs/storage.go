// Package storage declares the part of Google Cloud Storage's client that the Temporal server uses. No client can be created.
package storage

import (
	"context"
	"errors"

	"google.golang.org/api/option"
)

// ScopeFullControl is a scope of credentials.
const ScopeFullControl = "https://www.googleapis.com/auth/devstorage.full_control"

var errNone = errors.New("devstack has no client of Google Cloud Storage")

type (
	Client       struct{}
	BucketHandle struct{}
	BucketAttrs  struct{}
	ObjectHandle struct{}
	ObjectAttrs  struct{ Name string }
	Query        struct{ Prefix string }
	Reader       struct{}
	Writer       struct{}

	ObjectIterator struct{}
)

func NewClient(context.Context, ...option.ClientOption) (*Client, error) { return nil, errNone }

func (*Client) Bucket(string) *BucketHandle { return nil }

func (*BucketHandle) Attrs(context.Context) (*BucketAttrs, error)     { return nil, errNone }
func (*BucketHandle) Object(string) *ObjectHandle                     { return nil }
func (*BucketHandle) Objects(context.Context, *Query) *ObjectIterator { return nil }
func (*ObjectHandle) Attrs(context.Context) (*ObjectAttrs, error)     { return nil, errNone }
func (*ObjectHandle) NewReader(context.Context) (*Reader, error)      { return nil, errNone }
func (*ObjectHandle) NewWriter(context.Context) *Writer               { return nil }
func (*ObjectIterator) Next() (*ObjectAttrs, error)                   { return nil, errNone }
func (*Reader) Read([]byte) (int, error)                              { return 0, errNone }
func (*Reader) Close() error                                          { return nil }
func (*Writer) Write([]byte) (int, error)                             { return 0, errNone }
func (*Writer) Close() error                                          { return errNone }
func (*Writer) CloseWithError(error) error                            { return nil }
