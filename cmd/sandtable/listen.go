package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/sandtable-dev/sandtable/simulate/stream"
)

func listenCommand() *cli.Command {
	return &cli.Command{
		Name: "listen", Usage: "receive an OTLP log export on this machine and keep it in a capture", ArgsUsage: " ",
		Description: "A request is on disk before it is acknowledged. Logs are kept; metrics and traces are accepted and counted.\nPoint the product's endpoint at http://127.0.0.1:4318, or at :4317 for gRPC. Nothing that is sent is printed.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "keep the records in `FILE`, which is continued if it exists", Value: "capture.otlp.pb"},
			&cli.StringFlag{Name: "http", Usage: "listen for HTTP on `ADDRESS`; empty for not at all", Value: "127.0.0.1:4318"},
			&cli.StringFlag{Name: "grpc", Usage: "listen for gRPC on `ADDRESS`; empty for not at all", Value: "127.0.0.1:4317"},
			&cli.StringFlag{Name: "token-file", Usage: "ask every request for the bearer token in `FILE`"},
			&cli.StringFlag{Name: "cert", Usage: "TLS certificate, a PEM `FILE`"},
			&cli.StringFlag{Name: "cert-key", Usage: "its key, a PEM `FILE`"},
			&cli.Int64Flag{Name: "max-body", Usage: "largest body as sent, in `BYTES`", Value: 16 << 20},
			&cli.Int64Flag{Name: "max-unpacked", Usage: "largest body unpacked, in `BYTES`", Value: 64 << 20},
			&cli.DurationFlag{Name: "for", Usage: "stop after `TIME`, e.g. 10m", DefaultText: "on interrupt"},
		},
		Action: listen,
	}
}

func listen(c *cli.Context) error {
	if c.NArg() > 0 {
		return usage("listen takes no arguments; the capture is named by --output")
	}
	o := stream.ReceiverOptions{MaxBody: c.Int64("max-body"), MaxUnpacked: c.Int64("max-unpacked")}
	if name := c.String("token-file"); name != "" {
		data, err := os.ReadFile(name)
		if err != nil {
			return usage("--token-file: %v", err)
		}
		if o.Token = strings.TrimSpace(string(data)); o.Token == "" {
			return usage("--token-file %s: the file is empty", name)
		}
	}
	var secure *tls.Config
	if c.String("cert") != "" || c.String("cert-key") != "" {
		pair, err := tls.LoadX509KeyPair(c.String("cert"), c.String("cert-key"))
		if err != nil {
			return usage("--cert and --cert-key: %v", err)
		}
		secure = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}}
	}
	var listeners []net.Listener
	defer func() {
		for _, l := range listeners {
			l.Close()
		}
	}()
	var where []string
	for _, f := range []string{"http", "grpc"} {
		addr := c.String(f)
		if addr == "" {
			continue
		}
		l, err := net.Listen("tcp", addr)
		if err != nil {
			return failure{exitUsage, fmt.Errorf("--%s %s: %w", f, addr, err)}
		}
		if t, ok := l.Addr().(*net.TCPAddr); ok && !t.IP.IsLoopback() && (secure == nil || o.Token == "") {
			fmt.Fprintf(c.App.ErrWriter, "sandtable: warning: %s is reachable from other machines, without %s\n", l.Addr(), missing(secure == nil, o.Token == ""))
		}
		listeners = append(listeners, l)
		where = append(where, f+" "+l.Addr().String())
	}
	if len(listeners) == 0 {
		return usage("nothing to listen on: --http and --grpc are both empty")
	}
	r, err := stream.OpenReceiver(c.String("output"), o)
	if err != nil {
		return failure{exitUsage, err}
	}
	fmt.Fprintf(c.App.Writer, "Listening: %s\nCapture:   %s\n", strings.Join(where, ", "), c.String("output"))
	ctx := c.Context
	if d := c.Duration("for"); d > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d)
		defer cancel()
	}
	failed := make(chan error, len(listeners))
	var servers []*http.Server
	for _, l := range listeners {
		s := r.Server()
		s.TLSConfig = secure.Clone() // a server completes its own; nil stays nil
		servers = append(servers, s)
		go func() {
			if secure != nil {
				failed <- s.ServeTLS(l, "", "")
			} else {
				failed <- s.Serve(l)
			}
		}()
	}
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	stop, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for _, s := range servers {
		if s.Shutdown(stop) != nil {
			s.Close()
		}
	}
	err = errors.Join(err, r.Failed(), r.Close())
	n := r.Received()
	fmt.Fprintf(c.App.Writer, "%s in %s, %d rejected, %d lost a part; %d metrics and %d traces requests dropped; %d refused, %d told to come back\n",
		counted(n.Records, "record"), counted(n.Requests, "request"), n.Rejected, n.Salvaged, n.Metrics, n.Traces, n.Refused, n.Busy)
	return err
}

func missing(noTLS, noToken bool) string {
	switch {
	case noTLS && noToken:
		return "TLS and a token"
	case noTLS:
		return "TLS"
	}
	return "a token"
}
