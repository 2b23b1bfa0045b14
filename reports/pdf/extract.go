package pdf

import (
	"bytes"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf16"
)

// maxPage bounds what one page may inflate to.
const maxPage = 16 << 20

var (
	startXref = regexp.MustCompile(`startxref\s+(\d+)\s+%%EOF\s*$`)
	pageHead  = regexp.MustCompile(`^\d+ 0 obj\s*<</Type /Page\s`)
	contents  = regexp.MustCompile(`/Contents (\d+) 0 R`)
	length    = regexp.MustCompile(`/Length (\d+)`)
)

// ExtractText returns the text of each page of a PDF that this package wrote,
// one line for each piece of text in the order drawn. It is for tests and for
// checking a bundle: it knows what gofpdf writes and no other producer.
func ExtractText(pdf []byte) ([]string, error) {
	m := startXref.FindSubmatch(pdf[max(0, len(pdf)-64):])
	if m == nil {
		return nil, errors.New("pdf: no cross-reference table at the end")
	}
	at, _ := strconv.Atoi(string(m[1]))
	if at <= 0 || at >= len(pdf) {
		return nil, errors.New("pdf: the cross-reference table is out of range")
	}
	objects := map[int][]byte{}
	var order []int
	for _, line := range bytes.Split(pdf[at:], []byte("\n")) {
		f := bytes.Fields(line)
		if len(f) != 3 || (string(f[2]) != "n" && string(f[2]) != "f") {
			continue
		}
		off, err := strconv.Atoi(string(f[0]))
		n := len(order)
		order = append(order, n)
		if err == nil && string(f[2]) == "n" && off < at {
			objects[n] = pdf[off:at]
		}
	}
	var pages []string
	for _, n := range order {
		obj := objects[n]
		if !pageHead.Match(obj[:min(len(obj), 64)]) {
			continue
		}
		ref := contents.FindSubmatch(obj[:max(0, bytes.Index(obj, []byte("endobj")))])
		if ref == nil {
			return nil, fmt.Errorf("pdf: page object %d has no contents", n)
		}
		id, _ := strconv.Atoi(string(ref[1]))
		text, err := streamText(objects[id])
		if err != nil {
			return nil, fmt.Errorf("pdf: page %d: %w", len(pages)+1, err)
		}
		pages = append(pages, text)
	}
	if len(pages) == 0 {
		return nil, errors.New("pdf: no pages")
	}
	return pages, nil
}

func streamText(obj []byte) (string, error) {
	i := bytes.Index(obj, []byte("stream\n"))
	if i < 0 {
		return "", errors.New("no content stream")
	}
	m := length.FindSubmatch(obj[:i])
	if m == nil {
		return "", errors.New("the content stream has no length")
	}
	n, _ := strconv.Atoi(string(m[1]))
	data := obj[i+len("stream\n"):]
	if n > len(data) {
		return "", errors.New("the content stream is cut short")
	}
	if !bytes.HasPrefix(bytes.TrimLeft(data[n:], "\r\n"), []byte("endstream")) {
		return "", errors.New("the content stream does not end where its length says")
	}
	z, err := zlib.NewReader(bytes.NewReader(data[:n]))
	if err != nil {
		return "", err
	}
	data, err = io.ReadAll(io.LimitReader(z, maxPage))
	if err != nil {
		return "", err
	}
	var out []string
	for {
		i := bytes.Index(data, []byte(" Td ("))
		if i < 0 {
			return strings.Join(out, "\n"), nil
		}
		data = data[i+len(" Td ("):]
		var units []uint16
		var raw []byte
		end := 0
		for end < len(data) && data[end] != ')' {
			c := data[end]
			if c == '\\' && end+1 < len(data) {
				end++
				if c = data[end]; c == 'r' {
					c = '\r'
				}
			}
			raw = append(raw, c)
			end++
		}
		for j := 0; j+1 < len(raw); j += 2 {
			units = append(units, uint16(raw[j])<<8|uint16(raw[j+1]))
		}
		out = append(out, string(utf16.Decode(units)))
		data = data[end:]
	}
}
