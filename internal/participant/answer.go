package participant

import (
	"errors"
	"mime"
	"net/http"
	"slices"
	"strings"
	"unicode"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/jsondoc"
)

// Codes of problems that are definite answers.
const (
	codeSettled      = "settled"
	codeConflict     = "conflict"
	codeInsufficient = "insufficient"
	codeInvalid      = "invalid"
)

// problem is the body of another answer.
type problem struct {
	Code   string `json:"code" required:"true"`
	Detail string `json:"detail"`
}

// read reads an answer. Whatever the contract does not describe is OutcomeUnknown.
func read(r request, response *http.Response, body []byte, out any) error {
	switch status := response.StatusCode; status {
	case http.StatusOK:
		if !hasType(response, "application/json") {
			return fault.New(fault.OutcomeUnknown, "the answer is not application/json")
		}
		if err := readInto(body, out, r.complain); err != nil {
			return &fault.Error{Code: fault.OutcomeUnknown, Message: "the answer does not follow the contract", Err: err}
		}
		return nil
	case http.StatusConflict, http.StatusUnprocessableEntity:
		var p problem
		if !hasType(response, "application/problem+json") || readInto(body, &p, nil) != nil {
			return fault.New(fault.OutcomeUnknown, "the answer has status %d, and is not a problem with a code", status)
		}
		code, known := r.problems[p.Code]
		if !known || (p.Code == codeInvalid) != (status == http.StatusUnprocessableEntity) {
			return fault.New(fault.OutcomeUnknown, "the answer has status %d and the code %q", status, printable(p.Code))
		}
		return &fault.Error{Code: code, Err: errors.New(p.Code + ": " + printable(p.Detail))}
	default:
		return fault.New(fault.OutcomeUnknown, "the answer has status %d", status)
	}
}

func hasType(r *http.Response, want string) bool {
	got, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return err == nil && got == want
}

// readInto reads a JSON object strictly, but for fields that are not known.
func readInto(body []byte, out any, complain func(*jsondoc.Doc)) error {
	doc, err := jsondoc.Read(body, jsondoc.Options{Open: true})
	if err != nil {
		return err
	}
	doc.Into(out)
	if complain != nil {
		complain(doc)
	}
	return doc.Err("answer")
}

// oneOf complains about a value that the contract does not have.
func oneOf(d *jsondoc.Doc, at, value string, allowed ...string) {
	d.Require(slices.Contains(allowed, value), at, "must be one of %s", strings.Join(allowed, ", "))
}

// maxText bounds texts of a service that are kept.
const maxText = 200

// printable is a text of a service for errors and logs.
func printable(text string) string {
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, text)
	for len(text) > maxText {
		runes := []rune(text)
		text = string(runes[:len(runes)-1-(len(text)-maxText)/4])
	}
	return text
}
