package main

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
)

// lossyLink is a relay on loopback that loses what the broker answers, and resets connections: the bad day, on demand.
// Only for trying things.
type lossyLink struct {
	target   string
	listener net.Listener
	losing   atomic.Bool

	mu      sync.Mutex
	clients []*net.TCPConn
}

func newLossyLink(target string) (*lossyLink, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	link := &lossyLink{target: target, listener: listener}
	go link.accept()
	return link, nil
}

func (l *lossyLink) address() string { return l.listener.Addr().String() }

// loseAnswers: from now on requests reach the broker, and nothing comes back.
func (l *lossyLink) loseAnswers() { l.losing.Store(true) }

// reset cuts every connection with a TCP reset; new ones work.
func (l *lossyLink) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, client := range l.clients {
		client.SetLinger(0)
		client.Close()
	}
	l.clients = nil
	l.losing.Store(false)
}

func (l *lossyLink) close() {
	l.listener.Close()
	l.reset()
}

func (l *lossyLink) accept() {
	for {
		client, err := l.listener.Accept()
		if err != nil {
			return
		}
		broker, err := net.Dial("tcp", l.target)
		if err != nil {
			client.Close()
			continue
		}
		l.mu.Lock()
		l.clients = append(l.clients, client.(*net.TCPConn))
		l.mu.Unlock()
		go pump(broker, client)
		go pump(lossyWriter{client, &l.losing}, broker)
	}
}

func pump(to io.WriteCloser, from io.Reader) {
	defer to.Close()
	io.Copy(to, from)
}

type lossyWriter struct {
	io.WriteCloser
	losing *atomic.Bool
}

func (w lossyWriter) Write(data []byte) (int, error) {
	if w.losing.Load() {
		return len(data), nil
	}
	return w.WriteCloser.Write(data)
}
