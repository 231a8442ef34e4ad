package wire

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"regwatch/internal/guard"
)

const (
	acceptTime = 10 * time.Second       // for the handshake of a connection that we took
	closeTime  = 100 * time.Millisecond // to say goodbye on one that we close
	reasonTime = 50 * time.Millisecond  // to learn why one is gone
)

// secureConn is a TLS connection of which its flow can be told why it ended.
type secureConn struct {
	*tls.Conn
	raw   net.Conn
	asked string      // name that the certificate had to have
	lacks bool        // the peer asked for a certificate, and we have none
	heard atomic.Bool // it sent something: it took us as we are

	once  sync.Once
	ended chan struct{} // closed when nothing more can be read
	why   error         // set before
}

// secure makes TLS of a connection that we dialled. It blocks for the handshake.
// The error wraps a *TLSError where TLS is at fault, else a *TLSSettingError or
// the context's.
func (s *Stack) secure(ctx context.Context, raw net.Conn, remote netip.AddrPort) (net.Conn, error) {
	peer := s.options.Peer
	check := peer.verify
	if s.isWebSocket() {
		check = peer.verifyWeb
	}
	config, err := peer.TLS.load(time.Now())
	if err != nil {
		raw.Close()
		return nil, fmt.Errorf("%w: tls: %w", ErrTransport, err)
	}
	conn := &secureConn{raw: raw, asked: peer.Name, ended: make(chan struct{})}
	config.ServerName = peer.Name // for SNI only: the check is ours
	config.KeyLogWriter = s.options.KeyLog
	config.InsecureSkipVerify = true
	roots, own := config.RootCAs, config.Certificates
	config.VerifyConnection = func(state tls.ConnectionState) error {
		if peer.TLS.InsecureSkipVerify {
			return nil
		}
		return check(state, roots, time.Now())
	}
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		if len(own) == 0 {
			conn.lacks = true
			return new(tls.Certificate), nil
		}
		// Also where the peer names other CAs: its refusal tells more than silence.
		return &own[0], nil
	}
	conn.Conn = tls.Client(raw, config)
	if err := conn.HandshakeContext(ctx); err != nil {
		raw.Close()
		return nil, fmt.Errorf("%w: TLS with %s: %w", ErrTransport, remote, handshakeFault(ctx, err, peer.Name, conn.lacks))
	}
	return conn, nil
}

// greet takes a connection to a stack that listens: over TLS, WebSocket or both.
func (s *Stack) greet(raw net.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), acceptTime)
	defer cancel()
	go func() {
		defer guard.Recover(s.options.OnPanic)
		select {
		case <-s.done:
			cancel()
		case <-ctx.Done():
		}
	}()
	// Whatever of it does not end in time, or never began.
	defer context.AfterFunc(ctx, func() { raw.Close() })()
	conn := raw
	if s.isSecure() {
		secure := &secureConn{Conn: tls.Server(raw, s.options.TLS), raw: raw, ended: make(chan struct{})}
		if err := secure.HandshakeContext(ctx); err != nil {
			raw.Close()
			return
		}
		conn = secure
	}
	if s.isWebSocket() {
		var err error
		if conn, err = s.welcome(conn); err != nil {
			raw.Close()
			return
		}
	}
	if _, err := s.addConn(conn, true); err != nil {
		conn.Close()
	}
}

func (c *secureConn) Read(buffer []byte) (int, error) {
	n, err := c.Conn.Read(buffer)
	if n > 0 {
		c.heard.Store(true)
	}
	if err != nil {
		err = c.fault(err)
		c.once.Do(func() {
			c.why = err
			close(c.ended)
		})
	}
	return n, err
}

// Write may meet a connection that is gone before its reader has the reason.
func (c *secureConn) Write(data []byte) (int, error) {
	n, err := c.Conn.Write(data)
	if err == nil {
		return n, nil
	}
	limit := time.NewTimer(reasonTime)
	defer limit.Stop()
	select {
	case <-c.ended:
		if fault := (*TLSError)(nil); errors.As(c.why, &fault) {
			err = c.why
		}
	case <-limit.C:
	}
	return n, c.fault(err)
}

// fault tells what the end of a connection means. In TLS 1.3 a server judges our
// certificate when the handshake is over for us (RFC 8446 4.4.2.4), so its alert
// comes here; or no more than the end, where it was overtaken by a reset.
func (c *secureConn) fault(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return err
	}
	alert, alerted := alertOf(err)
	switch {
	case alerted && slices.Contains(aboutOurs, alert):
		return oursFault(err, alert, c.asked)
	case c.lacks && !c.heard.Load():
		return oursFault(err, alertRequired, c.asked)
	}
	return err
}

// Close says that it closes, but waits for nobody to hear it: a peer that does
// not read any more would hold up whoever closes.
func (c *secureConn) Close() error {
	limit := time.AfterFunc(closeTime, func() { c.raw.Close() })
	defer limit.Stop()
	return c.Conn.Close()
}
