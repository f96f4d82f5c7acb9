PRAGMA application_id = 1768977016;
PRAGMA user_version = 3;
BEGIN TRANSACTION;
CREATE TABLE backends ( id TEXT NOT NULL PRIMARY KEY, backend_user TEXT NOT NULL, end_user TEXT NOT NULL, path_prefixes TEXT NOT NULL, last_used TEXT NOT NULL DEFAULT '', hosts TEXT NOT NULL DEFAULT '[]', options TEXT NOT NULL DEFAULT '');
INSERT INTO backends VALUES('one','agent@example.com','me@example.com','["/a", "/b/"]','2026-05-17T12:00:00+00:00','[]','');
INSERT INTO backends VALUES('two','agent@example.com','allUsers','["/"]','','["a.org"]','{"maxQueue": 7}');
CREATE TABLE sign_outs (session TEXT NOT NULL PRIMARY KEY, ends INTEGER NOT NULL);
INSERT INTO sign_outs VALUES('a-session',1779022800);
COMMIT;
