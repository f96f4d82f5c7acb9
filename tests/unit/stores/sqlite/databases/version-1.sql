PRAGMA application_id = 1768977016;
PRAGMA user_version = 1;
BEGIN TRANSACTION;
CREATE TABLE backends ( id TEXT NOT NULL PRIMARY KEY, backend_user TEXT NOT NULL, end_user TEXT NOT NULL, path_prefixes TEXT NOT NULL, last_used TEXT NOT NULL DEFAULT '');
INSERT INTO backends VALUES('one','agent@example.com','me@example.com','["/a", "/b/"]','2026-05-17T12:00:00+00:00');
INSERT INTO backends VALUES('two','agent@example.com','allUsers','["/"]','');
COMMIT;
