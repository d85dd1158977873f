-- brief: scores: where networks were scored, and how many
-- A collection in which networks were scored (`zcsr test --task`): its task, the image set that the minibatch is from
-- (NULL where no record says), the batch size in images, the seed of weights, minibatch and noise, the pattern of the
-- instances, the loss, by whose rules the weights were drawn (NULL where no record says), how many programs and known
-- proxies were scored, on how many networks, and how many of these have an accuracy.
-- parameter: metric TEXT 'test' the accuracies to count
SELECT
    c.task,
    c.collection,
    c.images,
    c.batch_size,
    c.seed,
    c.pattern,
    c.loss,
    c.initialisation,
    count(DISTINCT s.program) FILTER (s.program <> s.text) AS programs,
    count(DISTINCT s.program) FILTER (s.program = s.text) AS proxies,
    count(DISTINCT s.arch) AS networks,
    count(DISTINCT s.arch) FILTER (t.arch IS NOT NULL) AS trained
FROM scored_collections AS c
JOIN network_scores AS s USING (collection, task)
LEFT JOIN mean_accuracies AS t ON t.metric = $metric AND t.task = s.task AND t.arch = s.arch
GROUP BY c.task, c.collection, c.images, c.batch_size, c.seed, c.pattern, c.loss, c.initialisation
ORDER BY c.task, c.batch_size, c.seed, c.pattern, c.collection
