//! Opening: forms, several who open at once, and what is refused.

use std::time::Duration;

use anypod_store::{NewTask, OpenError, Options, Owner, Postgres, Store, TaskId, TaskQuery};

use super::{Schema, Server};

#[tokio::test(flavor = "multi_thread")]
async fn pods_that_begin_at_once_make_one_store() {
    let Some(server) = Server::find() else { return };
    let schema = server.schema();
    let mut pods = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let url = schema.url();
        pods.spawn(async move { Postgres::open(&url, Options::default()).await.unwrap() });
    }
    let pods = pods.join_all().await;
    let id = TaskId::from_random([1; 16]);
    pods[0].create(NewTask::new(id.clone(), Owner::nobody(), "resize", "{}")).await.unwrap();
    for pod in &pods {
        assert!(pod.task(id.clone(), None).await.unwrap().is_some());
        assert_eq!(pod.status().await.unwrap().form, 7);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_form_is_brought_up_with_what_is_in_it() {
    let Some(server) = Server::find() else { return };
    let schema = server.schema();
    let id = TaskId::from_random([1; 16]);
    let store = schema.open(Options::default()).await;
    store.create(NewTask::new(id.clone(), Owner::new("ann"), "resize", "{}")).await.unwrap();
    drop(store);
    // As it was before lists of owners.
    schema
        .execute(
            "DROP FUNCTION list_tasks(smallint, text, bigint, text, bigint, text);
             CREATE FUNCTION list_tasks(smallint, text, bigint, text, bigint) RETURNS SETOF task_row LANGUAGE sql
                 AS $$ SELECT * FROM task_row $$;
             UPDATE form SET version = 6",
        )
        .await;
    let store = schema.open(Options::default()).await;
    let of = async |owner: &str| {
        let query = TaskQuery { owner: Some(Owner::new(owner)), most: 9, ..TaskQuery::default() };
        store.tasks(query).await.unwrap().into_iter().map(|row| row.id).collect::<Vec<_>>()
    };
    assert_eq!((of("ann").await, of("bob").await), (vec![id], vec![]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_form_is_refused() {
    let Some(server) = Server::find() else { return };
    let schema = server.schema();
    drop(schema.open(Options::default()).await);
    schema.execute("UPDATE form SET version = 99").await;
    let error = Postgres::open(&schema.url(), Options::default()).await.unwrap_err();
    assert!(matches!(error, OpenError::Newer { found: 99, known: 7, .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_of_somebody_else_is_left_alone() {
    let Some(server) = Server::find() else { return };
    let schema = server.schema();
    let others = format!("CREATE SCHEMA {}; CREATE TABLE {}.invoices (id int)", schema.name, schema.name);
    server.connect().await.batch_execute(&others).await.unwrap();
    let error = Postgres::open(&schema.url(), Options::default()).await.unwrap_err();
    assert!(matches!(&error, OpenError::Unusable { problem, .. } if problem.contains("choose another")), "{error}");
    let tables = format!("SELECT count(*) FROM pg_class WHERE relnamespace = '{}'::regnamespace", schema.name);
    let count: i64 = server.connect().await.query_one(&tables, &[]).await.unwrap().get(0);
    assert_eq!(count, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_schema_is_used() {
    let Some(server) = Server::find() else { return };
    let schema = server.schema();
    server.connect().await.batch_execute(&format!("CREATE SCHEMA {}", schema.name)).await.unwrap();
    let store = schema.open(Options::default()).await;
    assert!(store.status().await.unwrap().place.ends_with(&format!("?schema={}", schema.name)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_never_shown() {
    let Some(server) = Server::find() else { return };
    // Nobody listens there, nobody is called that, and there is no such database.
    let here = server.address();
    for url in [
        "postgres://nobody:s3cret@127.0.0.1:1/x".to_owned(),
        format!("postgres://nobody:s3cret@{here}/nothing"),
        format!("postgres://{here}/nothing?user=nobody&password=s3cret"),
        format!("postgres://nobody:s3cret@{here}/x?sslmode=require&sslrootcert=/nowhere"),
    ] {
        let error = Postgres::open(&url, Options::default()).await.unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(matches!(error, OpenError::Unreachable { .. }) && !shown.contains("s3cret"), "{shown}");
        assert!(shown.contains("postgres://nobody@127.0.0.1"), "{shown}");
    }
    let schema = server.schema();
    let url = schema.url().replacen('@', ":s3cret@", 1);
    if let Ok(store) = Postgres::open(&url, Options::default()).await {
        let shown = format!("{store:?} {} {:?}", store.place(), store.status().await.unwrap());
        assert!(!shown.contains("s3cret"), "{shown}");
    }
}

/// Opens it with more parameters.
async fn open(schema: &Schema, more: &str) -> Result<Postgres, String> {
    let url = format!("{}&{more}", schema.url());
    let opened = Postgres::open(&url, Options::default());
    tokio::time::timeout(Duration::from_secs(30), opened).await.unwrap().map_err(|error| error.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn encryption_is_there_where_it_is_required_and_certificates_are_verified() {
    let Some(server) = Server::find() else { return };
    let schema = server.schema();
    let authority = concat!(env!("CARGO_MANIFEST_DIR"), "/../client/tests/tls/authority.pem");
    let trusting = format!("sslmode=require&application_name={}&sslrootcert={authority}", schema.name);
    let client = server.connect().await;
    let has_tls: String = client.query_one("SHOW ssl", &[]).await.unwrap().get(0);
    if has_tls == "off" {
        let refused = open(&schema, &trusting).await.unwrap_err();
        assert!(refused.contains("does not support TLS"), "{refused}");
        return;
    }
    let store = open(&schema, &trusting).await.unwrap();
    store.publish(vec!["secret".into()]).await.unwrap();
    let encrypted = "SELECT count(*) FILTER (WHERE ssl), count(*) FILTER (WHERE NOT ssl) \
                     FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = $1";
    let row = client.query_one(encrypted, &[&schema.name]).await.unwrap();
    assert!(row.get::<_, i64>(0) > 0 && row.get::<_, i64>(1) == 0);
    // Nobody whom this machine trusts has signed the certificate of the tests.
    let refused = open(&schema, "sslmode=require").await.unwrap_err();
    assert!(refused.contains("certificate") || refused.contains("authorities to trust"), "{refused}");
}
