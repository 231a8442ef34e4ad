package wire

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"strings"
)

// partsRead bounds the parts of a body that are looked at.
const partsRead = 16

// Part finds the first part of that content type in a multipart body (RFC 2046
// 5.1); nil where there is none. A part that the body's end cuts off is given as
// far as it goes.
func (r *Request) Part(contentType string) []byte {
	_, params, err := mime.ParseMediaType(r.Headers.Get("Content-Type"))
	if err != nil {
		return nil
	}
	parts := multipart.NewReader(bytes.NewReader(r.Body), params["boundary"])
	for range partsRead {
		part, err := parts.NextPart()
		if err != nil {
			return nil
		}
		if kind, _, _ := mime.ParseMediaType(part.Header.Get("Content-Type")); strings.EqualFold(kind, contentType) {
			body, err := io.ReadAll(part)
			if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
				return nil
			}
			return body
		}
	}
	return nil
}
