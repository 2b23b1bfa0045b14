package stream

import (
	"bytes"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log"
	"mime"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/sandtable-dev/sandtable/rules/event"
	"github.com/sandtable-dev/sandtable/simulate/otlp"
)

// ReceiverOptions bound a receiver. The zero value means the defaults.
type ReceiverOptions struct {
	Token       string // bearer token every request must show; "" asks for none
	MaxBody     int64  // bytes of a body as sent; 16 MiB
	MaxUnpacked int64  // bytes of a body unpacked; 64 MiB
	InFlight    int    // requests at work at a time; others are told to come back; 64
}

// Received counts what a receiver took.
type Received struct {
	Requests, Records, Rejected, Salvaged int64
	Metrics, Traces                       int64 // requests of other signals, accepted and dropped
	Refused                               int64 // bad bodies, wrong token, wrong form
	Busy                                  int64 // told to come back later
	Bytes                                 int64 // written to the capture
}

// Receiver takes OTLP log exports over HTTP and gRPC and keeps them in one file.
// A request is on disk, and the disk was told to keep it, before it is
// acknowledged. The file holds frames that Source reads; what a crash cut at its
// end is removed when it is opened again.
type Receiver struct {
	o       ReceiverOptions
	f       *os.File
	queue   chan *keeping
	slots   chan struct{}
	done    chan struct{}
	closing sync.Once
	failed  atomic.Pointer[error]
	batches sync.Pool
	enc     *zstd.Encoder

	requests, records, rejected, salvaged, metrics, traces, refused, busy, bytes atomic.Int64
}

// keeping is one request on its way to the disk.
type keeping struct {
	frame []byte
	err   chan error
}

// OpenReceiver opens or continues a capture file.
func OpenReceiver(name string, o ReceiverOptions) (*Receiver, error) {
	if o.MaxBody <= 0 {
		o.MaxBody = 16 << 20
	}
	if o.MaxUnpacked <= 0 {
		o.MaxUnpacked = 64 << 20
	}
	if o.InFlight <= 0 {
		o.InFlight = 64
	}
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	end, err := wholeFrames(f)
	if err == nil {
		if err = f.Truncate(end); err == nil {
			_, err = f.Seek(end, io.SeekStart)
		}
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
	if err != nil {
		f.Close()
		return nil, err
	}
	r := &Receiver{o: o, f: f, enc: enc, queue: make(chan *keeping, o.InFlight), slots: make(chan struct{}, o.InFlight), done: make(chan struct{})}
	r.batches.New = func() any { return new(otlp.Batch) }
	go r.keep()
	return r, nil
}

// wholeFrames returns where the last whole frame ends. A file that is no capture
// of a receiver is refused rather than cut.
func wholeFrames(f *os.File) (int64, error) {
	st, err := f.Stat()
	if err != nil {
		return 0, err
	}
	var head [8]byte
	at := int64(0)
	for at < st.Size() {
		n, err := f.ReadAt(head[:], at)
		if err != nil && err != io.EOF {
			return 0, err
		}
		if n == 8 && !bytes.Equal(head[4:], zstdMagic) {
			return 0, errors.New("not a capture of this receiver; name another file")
		}
		size := int64(binary.BigEndian.Uint32(head[:4]))
		if n < 8 || at+4+size > st.Size() {
			return at, nil
		}
		at += 4 + size
	}
	return at, nil
}

// keep writes what is queued and tells the disk once for all of it.
func (r *Receiver) keep() {
	defer close(r.done)
	var group []*keeping
	for first := range r.queue {
		group = append(group[:0], first)
	more:
		for len(group) < 256 {
			select {
			case k, ok := <-r.queue:
				if !ok {
					break more
				}
				group = append(group, k)
			default:
				break more
			}
		}
		var err error
		if p := r.failed.Load(); p != nil {
			err = *p
		}
		var n int64
		for _, k := range group {
			if err == nil {
				_, err = r.f.Write(k.frame)
				n += int64(len(k.frame))
			}
		}
		if err == nil {
			err = r.f.Sync()
		}
		if err != nil {
			// What the disk holds is unknown now: nothing more is acknowledged.
			r.failed.Store(&err)
		} else {
			r.bytes.Add(n)
		}
		for _, k := range group {
			k.err <- err
		}
	}
}

// Close waits for what is under way and closes the file. No request may arrive
// afterwards.
func (r *Receiver) Close() error {
	r.closing.Do(func() { close(r.queue) })
	<-r.done
	r.enc.Close()
	return r.f.Close()
}

// Received tells what arrived so far.
func (r *Receiver) Received() Received {
	return Received{Requests: r.requests.Load(), Records: r.records.Load(), Rejected: r.rejected.Load(), Salvaged: r.salvaged.Load(),
		Metrics: r.metrics.Load(), Traces: r.traces.Load(), Refused: r.refused.Load(), Busy: r.busy.Load(), Bytes: r.bytes.Load()}
}

// Failed is the error of the disk after which nothing is acknowledged any more,
// or nil.
func (r *Receiver) Failed() error {
	if p := r.failed.Load(); p != nil {
		return *p
	}
	return nil
}

// Server is an HTTP server for the receiver with time limits, HTTP/2 without TLS
// included, as gRPC uses it. It logs nothing: what it is sent holds prompts and
// tokens.
func (r *Receiver) Server() *http.Server {
	var p http.Protocols
	p.SetHTTP1(true)
	p.SetHTTP2(true)
	p.SetUnencryptedHTTP2(true)
	return &http.Server{Handler: r, Protocols: &p, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, WriteTimeout: time.Minute,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10, ErrorLog: log.New(io.Discard, "", 0)}
}

// refusal is an answer other than success. text never repeats what was sent.
type refusal struct {
	code, grpc int
	text       string
}

var (
	errBusy     = &refusal{http.StatusServiceUnavailable, 14, "busy; come back later"}
	errStorage  = &refusal{http.StatusServiceUnavailable, 14, "the capture cannot be written"}
	errToken    = &refusal{http.StatusUnauthorized, 16, "bearer token missing or wrong"}
	errLarge    = &refusal{http.StatusRequestEntityTooLarge, 8, "body over the limit"}
	errBody     = &refusal{http.StatusBadRequest, 3, "body could not be read"}
	errNoLogs   = &refusal{http.StatusBadRequest, 3, "body is no OTLP request"}
	errPacking  = &refusal{http.StatusUnsupportedMediaType, 12, "content encoding is not supported; send gzip, zstd or none"}
	errType     = &refusal{http.StatusUnsupportedMediaType, 12, "content type is not supported; send application/json or application/x-protobuf"}
	errPath     = &refusal{http.StatusNotFound, 12, "nothing here; post to /v1/logs"}
	errMethod   = &refusal{http.StatusMethodNotAllowed, 12, "post to /v1/logs"}
	errNoFrames = &refusal{http.StatusBadRequest, 3, "broken gRPC message"}
)

type form uint8

const (
	formJSON form = iota
	formProto
	formGRPC
)

// ServeHTTP answers one export.
func (r *Receiver) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	f := formJSON
	media, _, _ := mime.ParseMediaType(q.Header.Get("Content-Type"))
	known := true
	switch {
	case strings.HasPrefix(media, "application/grpc"):
		f = formGRPC
	case media == "application/x-protobuf" || media == "application/protobuf":
		f = formProto
	case media == "application/json":
	default:
		known = false
	}
	signal, no := signalOf(q)
	switch {
	case no != nil:
	case r.o.Token != "" && subtle.ConstantTimeCompare([]byte(q.Header.Get("Authorization")), []byte("Bearer "+r.o.Token)) != 1:
		no = errToken
	case !known:
		no = errType
	default:
		select {
		case r.slots <- struct{}{}:
			defer func() { <-r.slots }()
		default:
			r.busy.Add(1)
			r.answer(w, f, errBusy, 0, "")
			return
		}
	}
	var rejected int64
	var why string
	if no == nil {
		rejected, why, no = r.take(w, q, f, signal)
	}
	if no != nil && no != errStorage {
		r.refused.Add(1)
	}
	r.answer(w, f, no, rejected, why)
}

// signalOf reads the signal from the path. A prefix and a doubled suffix are
// tolerated: administrators are told to enter either form.
func signalOf(q *http.Request) (string, *refusal) {
	p := strings.TrimRight(q.URL.Path, "/")
	var signal string
	switch {
	case strings.HasSuffix(p, "/v1/logs"), strings.HasSuffix(p, ".logs.v1.LogsService/Export"):
		signal = "logs"
	case strings.HasSuffix(p, "/v1/metrics"), strings.HasSuffix(p, ".metrics.v1.MetricsService/Export"):
		signal = "metrics"
	case strings.HasSuffix(p, "/v1/traces"), strings.HasSuffix(p, ".trace.v1.TraceService/Export"):
		signal = "traces"
	default:
		return "", errPath
	}
	if q.Method != http.MethodPost {
		return "", errMethod
	}
	return signal, nil
}

// take reads, checks and keeps one export.
func (r *Receiver) take(w http.ResponseWriter, q *http.Request, f form, signal string) (rejected int64, why string, no *refusal) {
	body, no := r.read(w, q, f)
	if no != nil {
		return 0, "", no
	}
	switch signal {
	case "metrics":
		r.metrics.Add(1)
		return 0, "", nil
	case "traces":
		r.traces.Add(1)
		return 0, "", nil
	}
	b := r.batches.Get().(*otlp.Batch)
	defer r.batches.Put(b)
	b.Reset()
	var err error
	if f == formJSON {
		err = otlp.DecodeJSON(body, b)
	} else {
		err = otlp.DecodeProto(body, b)
	}
	if err != nil {
		return 0, "", errNoLogs
	}
	for i := range b.Bad {
		if b.Bad[i].Salvaged || b.Bad[i].Index < 0 {
			r.salvaged.Add(1)
			continue
		}
		if rejected++; why == "" {
			why = b.Bad[i].Reason
		}
	}
	records := int64(len(b.Events))
	clear(b.Events) // the pool must not hold texts
	if records > 0 || rejected > 0 {
		k := &keeping{frame: r.frame(body), err: make(chan error, 1)}
		select {
		case r.queue <- k:
		default:
			r.busy.Add(1)
			return 0, "", errBusy
		}
		if err := <-k.err; err != nil {
			return 0, "", errStorage
		}
	}
	r.requests.Add(1)
	r.records.Add(records)
	r.rejected.Add(rejected)
	return rejected, why, nil
}

func (r *Receiver) frame(body []byte) []byte {
	out := r.enc.EncodeAll(body, make([]byte, 4, 64+len(body)/4))
	binary.BigEndian.PutUint32(out, uint32(len(out)-4))
	return out
}

// read takes the body out of its framing and packing, within the limits.
func (r *Receiver) read(w http.ResponseWriter, q *http.Request, f form) ([]byte, *refusal) {
	body := io.Reader(http.MaxBytesReader(w, q.Body, r.o.MaxBody))
	packing := q.Header.Get("Content-Encoding")
	if f == formGRPC {
		var head [5]byte
		if _, err := io.ReadFull(body, head[:]); err != nil {
			return nil, bodyError(err, errNoFrames)
		}
		size := int64(binary.BigEndian.Uint32(head[1:]))
		if size > r.o.MaxBody {
			return nil, errLarge
		}
		message := make([]byte, 0, min(size, 1<<20))
		buf := bytes.NewBuffer(message)
		if _, err := io.CopyN(buf, body, size); err != nil {
			return nil, bodyError(err, errNoFrames)
		}
		body, packing = buf, ""
		if head[0] == 1 {
			packing = q.Header.Get("Grpc-Encoding")
		}
	}
	switch packing {
	case "", "identity":
	case "gzip":
		z, err := gzip.NewReader(body)
		if err != nil {
			return nil, bodyError(err, errBody)
		}
		body = z
	case "zstd":
		z, err := zstd.NewReader(body, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(64<<20))
		if err != nil {
			return nil, errBody
		}
		defer z.Close()
		body = z
	default:
		return nil, errPacking
	}
	data, err := io.ReadAll(io.LimitReader(body, r.o.MaxUnpacked+1))
	if int64(len(data)) > r.o.MaxUnpacked {
		return nil, errLarge
	}
	if err != nil {
		return nil, bodyError(err, errBody)
	}
	return data, nil
}

func bodyError(err error, otherwise *refusal) *refusal {
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return errLarge
	}
	return otherwise
}

// answer writes the response in the form of the request.
func (r *Receiver) answer(w http.ResponseWriter, f form, no *refusal, rejected int64, why string) {
	var partial []byte // ExportLogsPartialSuccess
	if rejected > 0 {
		partial = binary.AppendUvarint([]byte{1 << 3}, uint64(rejected))
		partial = append(binary.AppendUvarint(append(partial, 2<<3|2), uint64(len(why))), why...)
		partial = append(binary.AppendUvarint([]byte{1<<3 | 2}, uint64(len(partial))), partial...)
	}
	h := w.Header()
	if no != nil && no.code == http.StatusServiceUnavailable {
		h.Set("Retry-After", "1")
	}
	switch f {
	case formGRPC:
		h.Set("Content-Type", "application/grpc")
		h.Set("Trailer", "Grpc-Status, Grpc-Message")
		if no != nil {
			h.Set("Grpc-Status", strconv.Itoa(no.grpc))
			h.Set("Grpc-Message", no.text)
			w.WriteHeader(http.StatusOK)
			return
		}
		head := [5]byte{}
		binary.BigEndian.PutUint32(head[1:], uint32(len(partial)))
		w.Write(append(head[:], partial...))
		h.Set("Grpc-Status", "0")
	case formProto:
		h.Set("Content-Type", "application/x-protobuf")
		if no != nil {
			w.WriteHeader(no.code)
			status := append(binary.AppendUvarint([]byte{1 << 3}, uint64(no.grpc)), 2<<3|2)
			w.Write(append(binary.AppendUvarint(status, uint64(len(no.text))), no.text...))
			return
		}
		w.Write(partial)
	default:
		h.Set("Content-Type", "application/json")
		switch {
		case no != nil:
			w.WriteHeader(no.code)
			fmt.Fprintf(w, `{"code":%d,"message":%q}`, no.grpc, no.text)
		case rejected > 0:
			fmt.Fprintf(w, `{"partialSuccess":{"rejectedLogRecords":"%d","errorMessage":%q}}`, rejected, why)
		default:
			io.WriteString(w, `{"partialSuccess":{}}`)
		}
	}
}

// Shift moves an event in time, with everything that says the time.
func Shift(e *event.Event, by time.Duration) {
	if e.Has&event.FTime != 0 {
		e.Time += int64(by)
	}
	if e.Has&event.FObserved != 0 {
		e.Observed += int64(by)
	}
	// A stamp in another spelling would tell the old time.
	for i := range e.Extra {
		if e.Extra[i].Key == "event.timestamp" {
			e.Extra = append(append([]event.Attr(nil), e.Extra[:i]...), e.Extra[i+1:]...)
			e.Has |= event.FStamp
			return
		}
	}
}
