// SPDX-License-Identifier: GPL-2.0

import java.io.FileInputStream;
import java.nio.charset.StandardCharsets;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManagerFactory;

/** Client HOST PORT CA VERSION MODE: fetches the page; resumed: twice. */
public class Client {
	public static void main(String[] args) throws Exception {
		KeyStore roots = KeyStore.getInstance(KeyStore.getDefaultType());
		roots.load(null, null);
		try (FileInputStream file = new FileInputStream(args[2])) {
			roots.setCertificateEntry("ca",
				CertificateFactory.getInstance("X.509").generateCertificate(file));
		}
		TrustManagerFactory trust =
			TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
		trust.init(roots);
		// Sessions are kept by the context and found by host and port.
		SSLContext context = SSLContext.getInstance("TLS");
		context.init(null, trust.getTrustManagers(), null);
		for (int i = 0; i < (args[4].equals("resumed") ? 2 : 1); i++)
			fetch(context, args[0], Integer.parseInt(args[1]), "TLSv" + args[3]);
	}

	private static void fetch(SSLContext context, String host, int port, String version)
			throws Exception {
		try (SSLSocket socket = (SSLSocket) context.getSocketFactory().createSocket(host, port)) {
			SSLParameters parameters = socket.getSSLParameters();
			parameters.setEndpointIdentificationAlgorithm("HTTPS");
			parameters.setProtocols(new String[] { version });
			socket.setSSLParameters(parameters);
			socket.getOutputStream().write(
				"GET / HTTP/1.0\r\n\r\n".getBytes(StandardCharsets.US_ASCII));
			String page = new String(socket.getInputStream().readAllBytes(),
				StandardCharsets.US_ASCII);
			if (!page.startsWith("HTTP/1.1 200 OK\r\n") || !page.endsWith("x".repeat(1024)))
				throw new Exception("no page");
			if (!socket.getSession().getProtocol().equals(version))
				throw new Exception(socket.getSession().getProtocol());
		}
	}
}
