/*
 * Do the certificates of a file lead to an authority that clients trust?
 */
#ifndef POP3D_LOGIN_CHAIN_H
#define POP3D_LOGIN_CHAIN_H

/*
 * Log as a warning if an issuer is missing: the file lacks it, and this host, whose authorities
 * (X509_get_default_cert_dir(3)) stand for those of clients, has none of that name.  Nothing is
 * said of a certificate that signs itself, of a host without authorities, or of a file that cannot
 * be read.
 */
void chain_look(const char *path);

#endif
